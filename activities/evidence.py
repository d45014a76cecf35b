"""Documents: checked before they count, and swept when no claim came to refer to them."""

from pydantic import Field
from temporalio import activity

from domain.evidence import Document
from domain.model import Frozen
from records.claims import ClaimRecords
from runtime.blobs import Blobs


class CheckDocument(Frozen):
    """A document said to be in the blob store. `tenant_domains` are given where the customer's e-mail must come from
    one of them."""

    document: Document
    tenant_domains: tuple[str, ...] = ()


class SweepDocuments(Frozen):
    """How old (hours) content must be before it is swept."""

    older_than_hours: int = Field(default=24, ge=1)


class Evidence:
    """Looks after the blob store. `limit` is the largest document accepted, in bytes."""

    def __init__(self, blobs: Blobs, claim_records: ClaimRecords, limit: int) -> None:
        self._blobs = blobs
        self._records = claim_records
        self._limit = limit

    @activity.defn(name="check_document")
    async def check_document(self, wanted: CheckDocument) -> None:
        """Holds the document to what it says it is, and keeps a sweep away from it for a day.

        Raises ApplicationError `refused` where it isn't kept, or its hash, size or type isn't what was said.
        """
        raise NotImplementedError

    @activity.defn(name="sweep_documents")
    async def sweep_documents(self, wanted: SweepDocuments) -> int:
        """Deletes content that is old enough and that no claim refers to; how many pieces there were."""
        raise NotImplementedError
