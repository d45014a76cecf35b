"""Documents: checked before they count, and swept when no claim came to refer to them."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.failures import told
from domain.evidence import Document, check
from domain.model import Frozen, Refusal, Refused
from records.claims import ClaimRecords
from runtime.blobs import BlobNotFound, Blobs, TooLarge

UNREFERENCED_FOR = timedelta(hours=24)
"""How long content may lie in the blob store before a claim refers to it."""

DOCUMENT_SWEEP = "documents"
"""The name under which the sweep's last success is on record."""

_BATCH = 200


class CheckDocument(Frozen):
    """A document said to be in the blob store. `tenant_domains` are given where the customer's e-mail must come from
    one of them."""

    document: Document
    tenant_domains: tuple[str, ...] = ()


class Evidence:
    """Looks after the blob store. `limit` is the largest document accepted, in bytes."""

    def __init__(self, blobs: Blobs, claim_records: ClaimRecords, limit: int) -> None:
        self._blobs = blobs
        self._records = claim_records
        self._limit = limit

    @activity.defn(name="check_document")
    async def check_document(self, wanted: CheckDocument) -> None:
        """Holds the document to what it says it is, and keeps the sweep away from it for a day.

        Raises ApplicationError `refused` where it isn't kept, or its hash, size or type isn't what was said.
        """
        document = wanted.document
        with told():
            content = await self._content(document)
            await asyncio.to_thread(_check, document, content, self._limit, frozenset(wanted.tenant_domains))

    async def _content(self, document: Document) -> bytes:
        try:
            # Before it is read: from here on no sweep takes it away.
            await self._blobs.touch(document.sha256)
            return await self._blobs.read(document.sha256, self._limit)
        except BlobNotFound:
            raise _not_as_said("document_kept", "The document isn't in the store.") from None
        except TooLarge as error:
            raise Refused(
                Refusal(
                    rule="document_size",
                    field="file",
                    message=f"The file is over {error.limit:,} bytes. Send a smaller one.",
                )
            ) from None

    @activity.defn(name="sweep_documents")
    async def sweep_documents(self) -> int:
        """Deletes content older than 24 hours that no claim refers to, and what uploads left unfinished; how many
        pieces there were. Heartbeats."""
        before = datetime.now(UTC) - UNREFERENCED_FOR
        deleted = await self._blobs.delete_unfinished(before)
        batch: list[str] = []
        async for sha256, _ in self._blobs.list_older_than(before):
            batch.append(sha256)
            if len(batch) == _BATCH:
                deleted += await self._delete_unreferenced(batch, before)
                batch = []
                activity.heartbeat(deleted)
        deleted += await self._delete_unreferenced(batch, before)
        await self._records.sweep_succeeded(DOCUMENT_SWEEP, datetime.now(UTC))
        return deleted

    async def _delete_unreferenced(self, hashes: list[str], before: datetime) -> int:
        referenced = await self._records.referenced_blobs(hashes)
        # Content that was attached since then was touched, and stays.
        gone = [await self._blobs.delete(sha256, older_than=before) for sha256 in hashes if sha256 not in referenced]
        return sum(gone)


def _check(document: Document, content: bytes, limit: int, tenant_domains: frozenset[str]) -> None:
    if len(content) != document.size or hashlib.sha256(content).hexdigest() != document.sha256:
        raise _not_as_said("document_content", "The content in the store isn't the document's.")
    found = check(document.kind, content, limit=limit, tenant_domains=tenant_domains)
    if found != document.media_type:
        raise _not_as_said("document_type", f"The content is {found}, not {document.media_type}.")


def _not_as_said(rule: str, message: str) -> Refused:
    return Refused(Refusal(rule=rule, field="file", message=f"{message} Send the file again."))
