"""Credits: invoice lines read into records, matched with claims, allocated and taken back."""

from temporalio import activity
from temporalio.client import Client

from domain.claims import Allocation, Claim
from domain.model import Frozen
from domain.money import Money
from domain.settlement import Matched
from microsoft.billing import Billing
from records.claims import ClaimRecords
from records.credits import CreditRecords


class MatchClaim(Frozen):
    """The claim whose credit is looked for among the lines on record."""

    claim: Claim


class AllocateLine(Frozen):
    """Give the claim this line, or `amount` of it (before tax). The same `allocation_id` again changes nothing."""

    claim: Claim
    line_id: str
    amount: Money | None = None
    allocation_id: str


class ReleaseLine(Frozen):
    """Take this allocation of the claim back."""

    claim_id: str
    allocation_id: str


class CreditSweepReport(Frozen):
    """Invoices that Microsoft listed, those whose lines were read because they are new or changed, and claims told."""

    listed: int
    read: int
    signalled: int


class Credits:
    """Reads invoices and keeps allocations. `client` signals claims; `page_size` is how many lines are asked for at
    once, at most 2,000."""

    def __init__(
        self,
        billing: Billing,
        credit_records: CreditRecords,
        claim_records: ClaimRecords,
        client: Client,
        page_size: int,
    ) -> None:
        self._billing = billing
        self._credits = credit_records
        self._claims = claim_records
        self._client = client
        self._page_size = page_size

    @activity.defn(name="match_credit")
    async def match(self, wanted: MatchClaim) -> Matched:
        """Takes the line that only this claim could take, if there is one, and tells all there is to tell."""
        raise NotImplementedError

    @activity.defn(name="allocate_line")
    async def allocate(self, wanted: AllocateLine) -> Allocation:
        """Gives the claim a line, or an amount of it. Raises ApplicationError `refused`, naming the field."""
        raise NotImplementedError

    @activity.defn(name="release_line")
    async def release(self, wanted: ReleaseLine) -> None:
        """Takes an allocation back; one that isn't there any more is no error."""
        raise NotImplementedError

    @activity.defn(name="sweep_credits")
    async def sweep_credits(self) -> CreditSweepReport:
        """Reads new and changed invoices, then signals `credits_changed` to the claims for which that means something."""
        raise NotImplementedError
