"""Writing a claim's transition into the records."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import DUPLICATE_CLAIM, refused
from domain.claims import Claim, Entry
from domain.model import Frozen, Refusal
from records.claims import ClaimRecords, DuplicateClaim, MovedOn


class RecordClaim(Frozen):
    """A claim after a transition, and the entry of the timeline that tells of it."""

    claim: Claim
    entry: Entry


class ClaimRecording:
    """Writes what must outlive the workflow."""

    def __init__(self, claim_records: ClaimRecords) -> None:
        self._records = claim_records

    @activity.defn(name="record_claim")
    async def record_claim(self, wanted: RecordClaim) -> None:
        """Keeps the claim (newer version wins) and its entry, in one transaction. Safe to run twice.

        Raises ApplicationError `duplicate_claim`, final, where another open claim is about the same thing; its detail
        is `{"claim_id": …}`; `refused` where the claim was taken up from a state that isn't the newest any more.
        """
        try:
            await self._records.record(wanted.claim, wanted.entry)
        except DuplicateClaim as duplicate:
            raise ApplicationError(
                str(duplicate), {"claim_id": duplicate.claim_id}, type=DUPLICATE_CLAIM, non_retryable=True
            ) from None
        except MovedOn:
            raise refused(
                Refusal(rule="claim_moved_on", message="The claim has changed meanwhile. Read it, and ask again.")
            ) from None
