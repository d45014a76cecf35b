"""Service requests at Partner Center: looked up, answered, and swept for changes."""

from temporalio import activity
from temporalio.client import Client

from domain.messages import TicketNumber
from domain.model import Frozen
from domain.tickets import Ticket, TicketLookup
from microsoft.partner_center import PartnerCenter
from records.claims import ClaimRecords


class LookUpTicket(Frozen):
    """A ticket's number, and the customer (tenant id) that it must be of."""

    number: TicketNumber
    customer_id: str


class ReplyToTicket(Frozen):
    """What to write on a ticket of this customer."""

    number: TicketNumber
    customer_id: str
    text: str


class TicketSweepReport(Frozen):
    """Tickets that Microsoft listed, those of them that differ from the records, and claims that were told."""

    listed: int
    changed: int
    signalled: int


class Tickets:
    """Reads and answers tickets. `client` signals claims; `page_size` is how many tickets a listing asks for at once."""

    def __init__(
        self, partner_center: PartnerCenter, claim_records: ClaimRecords, client: Client, page_size: int
    ) -> None:
        self._partner_center = partner_center
        self._records = claim_records
        self._client = client
        self._page_size = page_size

    @activity.defn(name="look_up_ticket")
    async def look_up(self, wanted: LookUpTicket) -> TicketLookup:
        """The ticket as Microsoft shows it now; nothing where it shows none, or one of another customer."""
        raise NotImplementedError

    @activity.defn(name="reply_to_ticket")
    async def reply(self, wanted: ReplyToTicket) -> Ticket:
        """Adds the text as a note, once, and gives the ticket as it is then."""
        raise NotImplementedError

    @activity.defn(name="sweep_tickets")
    async def sweep_tickets(self) -> TicketSweepReport:
        """Lists every ticket once and signals `ticket_changed` to the claims whose ticket isn't as the records say."""
        raise NotImplementedError
