"""Tickets at Partner Center and in Azure: looked up, answered, and swept for changes."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.azure_tickets import AzureSubscription, AzureTickets, is_our_own
from activities.failures import told
from activities.heartbeats import heartbeating
from activities.signals import signal_claims
from domain.messages import TicketNews, TicketNumber
from domain.model import Frozen, Refusal, Refused
from domain.tickets import Ticket, TicketLookup, TicketNote, TicketStatus, fingerprint
from microsoft.errors import ConsentMissing, Forbidden, NotFound
from microsoft.partner_center import Note, PartnerCenter, ServiceRequest
from records.claims import ClaimRecords, OpenTicket

TICKET_SWEEP = "tickets"
"""The name under which the sweep's last success is on record."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class LookUpTicket(Frozen):
    """A ticket's number (or the name that claimdesk gave it), and the customer (tenant id) that it must be of. One that
    `is_azure` is on the Azure subscription `azure` or one of the `others`, where any is known."""

    number: str
    customer_id: str
    is_azure: bool = False
    azure: AzureSubscription | None = None
    others: tuple[str, ...] = ()


class ReplyToTicket(Frozen):
    """What to write on a service request of this customer."""

    number: TicketNumber
    customer_id: str
    text: str


class TicketSweepReport(Frozen):
    """Tickets that Microsoft listed, those of them that differ from the records, claims that were told, and Azure
    subscriptions whose tickets Microsoft doesn't let us read."""

    listed: int
    changed: int
    signalled: int
    unreadable: int = 0


class Tickets:
    """Reads and answers tickets. `client` signals claims; `page_size` is how many tickets a listing of Partner Center
    asks for."""

    def __init__(
        self,
        partner_center: PartnerCenter,
        azure: AzureTickets,
        claim_records: ClaimRecords,
        client: Client,
        page_size: int,
    ) -> None:
        self._partner_center = partner_center
        self._azure = azure
        self._records = claim_records
        self._client = client
        self._page_size = page_size

    @activity.defn(name="look_up_ticket")
    async def look_up(self, wanted: LookUpTicket) -> TicketLookup:
        """The ticket as Microsoft shows it now; nothing where it shows none, or one of another customer."""
        if wanted.is_azure:
            return await self._look_up_in_azure(wanted)
        with told():
            try:
                found = await self._partner_center.service_request(wanted.number)
            except NotFound:
                return TicketLookup(ticket=None)
        if _is_of_another(found, wanted.customer_id):
            return TicketLookup(ticket=None, other_customer=True)
        return TicketLookup(ticket=_ticket(found))

    async def _look_up_in_azure(self, wanted: LookUpTicket) -> TicketLookup:
        if wanted.azure is None:
            return TicketLookup(ticket=None, unreadable="it isn't known in which Azure subscription the ticket is.")
        with told():
            try:
                return await self._azure.look_up(wanted.azure, wanted.number, wanted.others)
            except (Forbidden, ConsentMissing) as error:
                if is_our_own(error):
                    raise
                return TicketLookup(ticket=None, unreadable=str(error))

    @activity.defn(name="reply_to_ticket")
    async def reply(self, wanted: ReplyToTicket) -> Ticket:
        """Adds the text as a note and gives the ticket as it is then. Safe to run twice: a text that the newest notes
        hold already isn't added again.

        Raises ApplicationError `refused` for another customer's ticket, else as `failures.told` says.
        """
        with told():
            found = await self._partner_center.service_request(wanted.number)
            if _is_of_another(found, wanted.customer_id):
                raise Refused(
                    Refusal(
                        rule="ticket_customer",
                        field="ticket_number",
                        message="That ticket is of a customer that isn't the claim's; nothing was written on it.",
                    )
                )
            if not _holds(found, wanted.text):
                await self._partner_center.add_note(wanted.number, wanted.text)
                found = await self._partner_center.service_request(wanted.number)
            ticket = _ticket(found)
            if ticket is None:
                raise NotFound("read service request", "Partner Center", description="the ticket has no date yet")
            return ticket

    @activity.defn(name="sweep_tickets")
    async def sweep_tickets(self) -> TicketSweepReport:
        """Lists every ticket once and signals `ticket_changed` to the claims whose ticket isn't as the records say.

        Heartbeats. Costs one listing of Partner Center, and one of each Azure subscription on which a claim waits;
        nothing while no claim has a ticket. Raises ApplicationError for a listing that failed, after all the others.
        """
        waiting: defaultdict[AzureSubscription | None, list[OpenTicket]] = defaultdict(list)
        report = TicketSweepReport(listed=0, changed=0, signalled=0)
        failed: ApplicationError | None = None
        async with heartbeating(lambda: report.listed):
            for known in await self._records.open_claims_with_tickets():
                waiting[_where(known)].append(known)
            for where, open_tickets in waiting.items():
                try:
                    with told():
                        pages = self._azure.fingerprints(where) if where else self._fingerprints()
                        async for page in pages:
                            report = await self._tell(page, open_tickets, report)
                except ApplicationError as error:
                    if where and error.type in ("forbidden", "consent_missing") and not is_our_own(error.__cause__):
                        # A customer's rights are no trouble of the sweep's: its alarm is for what stops it.
                        activity.logger.warning("tickets can't be read: %s", error.message)
                        report = report.model_copy(update={"unreadable": report.unreadable + 1})
                        continue
                    failed = failed or error
        if failed is not None:
            raise failed
        await self._records.sweep_succeeded(TICKET_SWEEP, datetime.now(UTC))
        return report

    async def _fingerprints(self) -> AsyncIterator[dict[str, str]]:
        async for page in self._partner_center.service_requests(self._page_size):
            yield {request.id: fingerprint(_status(request), request.modified) for request in page}

    async def _tell(
        self, now: Mapping[str, str], open_tickets: list[OpenTicket], report: TicketSweepReport
    ) -> TicketSweepReport:
        """Signals the claims of whose ticket this page says something else than the records."""
        news = {
            known.claim_id: TicketNews(ticket_number=known.number, fingerprint=now[known.number])
            for known in open_tickets
            if now.get(known.number, known.fingerprint) != known.fingerprint
        }
        return TicketSweepReport(
            listed=report.listed + len(now),
            changed=report.changed + len({each.ticket_number for each in news.values()}),
            signalled=report.signalled + await signal_claims(self._client, "ticket_changed", news),
            unreadable=report.unreadable,
        )


def _where(known: OpenTicket) -> AzureSubscription | None:
    if known.azure_subscription_id is None:
        return None
    return AzureSubscription(tenant_id=known.customer_id, subscription_id=known.azure_subscription_id, sender=None)


def _is_of_another(found: ServiceRequest, customer_id: str) -> bool:
    """Where Microsoft doesn't say whose a ticket is, it isn't another's."""
    return bool(found.customer_id) and found.customer_id != customer_id.lower()


def _status(request: ServiceRequest) -> TicketStatus:
    try:
        return TicketStatus(request.status.value)
    except ValueError:
        return TicketStatus.UNKNOWN


def _by_age(notes: tuple[Note, ...]) -> list[Note]:
    return sorted(notes, key=lambda note: note.created or _LONG_AGO)


def _ticket(found: ServiceRequest) -> Ticket | None:
    """The ticket; None while Microsoft doesn't say when it was created, without which it is no filing."""
    if found.created is None:
        return None
    status = _status(found)
    newest = _by_age(found.notes)[-1:]
    return Ticket(
        number=found.id,
        title=found.title,
        status=status,
        customer_id=found.customer_id or None,
        created_at=found.created,
        modified_at=found.modified,
        last_note=next((TicketNote(text=n.text, created_at=n.created, author=n.by_name or None) for n in newest), None),
        fingerprint=fingerprint(status, found.modified),
    )


def _holds(found: ServiceRequest, text: str) -> bool:
    """Whether the newest notes, as far back as one author wrote them, hold the text already.

    A question of Microsoft's after it makes the same text a new answer.
    """
    notes = _by_age(found.notes)
    for note in reversed(notes):
        if note.by_name != notes[-1].by_name:
            return False
        if note.text.strip() == text.strip():
            return True
    return False
