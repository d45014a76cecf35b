"""Azure support tickets: filed with their documents, looked up, answered, and listed for the sweep."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime, time, timedelta
from http import HTTPStatus
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.failures import told
from activities.heartbeats import heartbeating
from domain import azure_tickets
from domain.claims import Claim, Contact
from domain.model import Frozen, Refusal, Refused
from domain.tickets import Ticket, TicketLookup, TicketNote, TicketStatus
from domain.triage import Route
from microsoft.errors import (
    Ambiguous,
    ConsentMissing,
    Forbidden,
    MicrosoftError,
    NotFound,
    Rejected,
    SupportPlanTooLow,
    Unavailable,
)
from microsoft.identity import TOKEN_REQUEST
from microsoft.operations import Operation, wait_for
from microsoft.support import Communication, NewTicket, Place, Support, SupportTicket
from microsoft.support import Contact as TicketContact
from records.claims import ClaimRecords
from runtime.blobs import BlobNotFound, Blobs

LONGEST_OPERATION = timedelta(minutes=8)
"""How long Azure may take over a ticket before the attempt ends; the next one looks for it by its name."""

_OUR_REPLY = "reply-"
_LOOKS_AT_A_MESSAGE = 3
_NO_CONTACT = "The claim's contact isn't the partner's, and CLAIMDESK_CONTACT_EMAIL names none of ours."
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

T = TypeVar("T")

_SEEN_WITHIN = timedelta(minutes=10)
"""After so long a ticket that was sent before can be seen, if Azure took it."""

# What Azure refuses for good: the plan or a right is missing, or the ticket isn't one it takes.
_REFUSALS = (Rejected, Forbidden, ConsentMissing)


class AzureSubscription(Frozen):
    """Where a claim's ticket is in Azure: the customer's tenant, and the subscription (GUID). `sender` is the partner's
    e-mail address that our messages on it are from; None where the claim knows none."""

    tenant_id: str
    subscription_id: str
    sender: str | None


class FileAzureTicket(Frozen):
    """The claim whose ticket is to be filed under the name that it has on record. `workspace` is where its documents
    are uploaded to: a new name, since Azure forgets a workspace after 24 hours."""

    claim: Claim
    workspace: str


class AzureFiling(Frozen):
    """What came of it: the ticket as Azure shows it, or why a person has to file it. Neither, where the claim isn't to
    be filed any more: nothing was sent then."""

    ticket: Ticket | None = None
    refused: str | None = None


class ReplyToAzureTicket(Frozen):
    """What to write on a ticket, by its number or name. `key` is the same for each try of one answer."""

    where: AzureSubscription
    number: str
    text: str
    key: str


class AzureReply(Frozen):
    """The ticket as it is with our message; `under_way` is where Azure tells whether it took it, None once it has."""

    ticket: Ticket
    under_way: str | None


class FollowAzureReply(Frozen):
    """Where to look for what came of a reply."""

    where: AzureSubscription
    under_way: str


class AzureReplyOutcome(Frozen):
    """Why Azure didn't take the reply; None where it has it."""

    refused: str | None


class Filer(Frozen):
    """Who files, for all claims: the partner's name; whom Microsoft writes to where the claim's own contact isn't the
    partner's; the contact's time zone (a Windows name), country (ISO 3166 alpha-3) and language."""

    partner_name: str
    contact: Contact | None
    time_zone: str
    country: str
    language: str


class _NotByUs(Exception):  # noqa: N818 - it is an answer, not a fault
    """Why a person has to file the ticket."""


class _Overtaken(Exception):  # noqa: N818 - it is an answer, not a fault
    """The claim was withdrawn, or filed otherwise, before the ticket was sent."""


class AzureTickets:
    """Files, reads and answers Azure support tickets on behalf of customers."""

    def __init__(self, support: Support, blobs: Blobs, claim_records: ClaimRecords, filer: Filer) -> None:
        self._support = support
        self._records = claim_records
        self._blobs = blobs
        self._filer = filer

    @activity.defn(name="file_azure_ticket")
    async def file(self, wanted: FileAzureTicket) -> AzureFiling:
        """Uploads the claim's documents, files its ticket, and reads it back. Heartbeats. Safe to run twice: the ticket
        is looked for by its name first, and Azure takes one ticket of a name. What counts when it is sent is the claim
        as it is on record then: its documents, its deadline, and whether it is to be filed at all.

        Raises ApplicationError as `failures.told` says for what may pass; what Azure refuses for good is an answer.
        """
        claim = wanted.claim
        assert claim.filing is not None, "recorded before anything is sent"
        name = claim.filing.number
        where = azure_subscription(claim)
        assert where is not None, "known since triage"
        place = _place(where)
        started: list[str] = list(activity.info().heartbeat_details)
        async with heartbeating(lambda: started[0] if started else ""):
            with told():
                try:
                    if (found := (await self.look_up(where, name)).ticket) is not None:
                        return AzureFiling(ticket=found)
                    operation = await self._resumed(place, started.pop() if started else "")
                    if operation is None:
                        operation = await self._send(place, claim, name, wanted.workspace)
                except _Overtaken:
                    return AzureFiling()
                except _NotByUs as error:
                    return AzureFiling(refused=str(error))
                except _REFUSALS as error:
                    if is_our_own(error):
                        raise
                    return AzureFiling(refused=_why(error))
                if operation is not None:
                    started.append(operation.url)
                    activity.heartbeat(operation.url)
                    if refused := await self._until_over(place, operation):
                        return AzureFiling(refused=refused)
                found = (await self.look_up(where, name)).ticket
                if found is None:
                    raise _not_yet(name)
                return AzureFiling(ticket=found)

    async def _send(self, place: Place, claim: Claim, name: str, workspace: str) -> Operation | None:
        """The ticket on its way. Raises _Overtaken, _NotByUs, and what `Support` raises."""
        newest = await self._newest(claim, name)
        while True:
            new = await self._new_ticket(place, newest, workspace)
            before, newest = newest, await self._newest(claim, name)
            # A document that came while the others were uploaded goes with them.
            if newest.documents == before.documents:
                return await _to_its_end(self._support.create(place, name, new))

    async def _newest(self, claim: Claim, name: str) -> Claim:
        """The claim as it is on record now. Raises _Overtaken where this ticket isn't to be filed any more, and what
        `_check_time` raises where it is too late."""
        newest = await self._records.get(claim.id) or claim
        if not newest.is_to_be_sent or newest.filing != claim.filing:
            raise _Overtaken
        _check_time(name, newest.send_before)
        return newest

    async def _resumed(self, place: Place, url: str) -> Operation | None:
        """The operation that an earlier attempt began, None where there is none to go on with: one that failed for a
        reason of Microsoft's own leaves the ticket's name free."""
        if not url:
            return None
        try:
            return await self._support.look(place, url)
        except (NotFound, Ambiguous):
            return None

    async def _until_over(self, place: Place, operation: Operation) -> str | None:
        """Waits for what Azure accepted; why it refused it after all, or None. Only the operation's own word counts as
        a refusal: a look that fails leaves open what came of it. Raises Unavailable; NotFound where it takes long."""
        try:
            await wait_for(operation, lambda: self._support.look(place, operation.url), longest=LONGEST_OPERATION)
        except TimeoutError:
            raise NotFound("look at support operation", "Azure", description="Azure takes its time") from None
        except _REFUSALS as error:
            if error.status == HTTPStatus.OK:
                return _why(error)
            raise Unavailable(error.operation, error.host, status=error.status, description=str(error)) from error
        return None

    async def _new_ticket(self, place: Place, claim: Claim, workspace: str) -> NewTicket:
        """The ticket, with its documents uploaded. Raises _NotByUs where there can't be one."""
        if why := azure_tickets.attachments_refusal(claim.documents):
            raise _NotByUs(why)
        person = azure_tickets.contact(claim, self._filer.contact)
        if person is None:
            raise _NotByUs(_NO_CONTACT)
        try:
            classification = await self._support.classification(
                place.tenant, azure_tickets.SERVICE, *azure_tickets.PROBLEM
            )
            await self._support.create_workspace(place, workspace)
        except NotFound as error:
            raise _NotByUs(f"Azure doesn't show the partner what the ticket is about. {error}") from error
        for position, document in enumerate(claim.documents, 1):
            try:
                content = await self._blobs.read(document.sha256, azure_tickets.LARGEST_FILE)
            except BlobNotFound:
                raise _NotByUs(f"The content of {document.id} is missing from the document store.") from None
            filename = azure_tickets.attachment_name(position, document)
            await self._support.upload(place, workspace, filename, content)
        first, _, last = person.name.rpartition(" ")
        return NewTicket(
            title=azure_tickets.title(claim),
            description=azure_tickets.text(claim, self._filer.partner_name),
            classification=classification,
            contact=TicketContact(
                first_name=first or last,
                last_name=last,
                email=person.email,
                phone=person.phone,
                time_zone=self._filer.time_zone,
                country=self._filer.country,
                language=self._filer.language,
            ),
            started=datetime.combine(claim.opening.incident.date, time(), UTC),
            workspace=workspace,
        )

    async def look_up(self, where: AzureSubscription, number: str, others: Sequence[str] = ()) -> TicketLookup:
        """The ticket of this number, or of this name, as Azure shows it now, there or on one of the `others` among the
        customer's subscriptions; nothing where it shows none. Raises what `Support` raises."""
        for subscription in (where.subscription_id, *others):
            here = where.model_copy(update={"subscription_id": subscription})
            if (found := await self._found(here, number)) is not None:
                ticket = await self._told(here, found)
                return TicketLookup(ticket=ticket, azure_subscription_id=subscription if ticket else None)
        return TicketLookup(ticket=None)

    @activity.defn(name="reply_to_azure_ticket")
    async def reply(self, wanted: ReplyToAzureTicket) -> AzureReply:
        """Writes a message on the ticket. Safe to run twice: the same text under the same key is one message.

        Raises ApplicationError `refused` where no address of the partner's is known to write from, else as
        `failures.told` says.
        """
        where, place = wanted.where, _place(wanted.where)
        sender = where.sender or (self._filer.contact.email if self._filer.contact else None)
        name = f"{_OUR_REPLY}{hashlib.sha256(f'{wanted.key}|{wanted.text}'.encode()).hexdigest()[:32]}"
        with told():
            if sender is None:
                raise Refused(Refusal(rule="reply_sender", message=f"{_NO_CONTACT} Answer in the Azure portal."))
            found = await self._found(where, wanted.number)
            if found is None:
                raise NotFound("read support ticket", "Azure", description=f"there is no ticket {wanted.number}")
            under_way = None
            try:
                await self._support.communication(place, found.name, name)
            except NotFound:
                operation = await _to_its_end(
                    self._support.communicate(
                        place, found.name, name, subject="Our answer", body=wanted.text, sender=sender
                    )
                )
                under_way = await self._still_under_way(place, operation)
            ticket = await self._told(where, await self._support.ticket(place, found.name))
            if ticket is None:
                raise NotFound("read support ticket", "Azure", description="the ticket has no date yet")
            return AzureReply(ticket=ticket, under_way=under_way)

    @activity.defn(name="follow_azure_reply")
    async def follow_reply(self, wanted: FollowAzureReply) -> AzureReplyOutcome:
        """Waits until Azure says what came of a reply that it accepted. Heartbeats; reads only."""
        place = _place(wanted.where)
        async with heartbeating(lambda: None):
            with told():
                try:
                    refused = await self._until_over(place, Operation(wanted.under_way, "accepted", timedelta()))
                except NotFound as error:
                    if error.status is None:
                        raise
                    refused = "Azure no longer tells what came of it: look at the ticket."
                return AzureReplyOutcome(refused=refused)

    async def _still_under_way(self, place: Place, operation: Operation | None) -> str | None:
        """Where the outcome of a message is told, None where it is known by now. A person waits with us, so not for
        long. Raises what the operation failed with."""
        if operation is None:
            return None
        for _ in range(_LOOKS_AT_A_MESSAGE):
            if (await self._support.look(place, operation.url)).is_over:
                return None
            await asyncio.sleep(1)
        return operation.url

    async def fingerprints(self, where: AzureSubscription) -> AsyncIterator[dict[str, str]]:
        """The fingerprint of every ticket on the subscription, page by page, by its number."""
        async for page in self._support.tickets(_place(where)):
            yield {ticket.number: _fingerprint(ticket) for ticket in page}

    async def _found(self, where: AzureSubscription, number: str) -> SupportTicket | None:
        place = _place(where)
        if not number.isdigit():
            try:
                return await self._support.ticket(place, number)
            except NotFound:
                return None
        async for page in self._support.tickets(place):
            for ticket in page:
                if ticket.number == number:
                    return ticket
        return None

    async def _told(self, where: AzureSubscription, found: SupportTicket) -> Ticket | None:
        """The ticket; None while Azure doesn't say when it was created, without which it is no filing."""
        if found.created is None or not found.number:
            return None
        messages = await self._support.communications(_place(where), found.name)
        newest = max(messages, key=lambda message: message.created or _LONG_AGO, default=None)
        note = newest and TicketNote(text=newest.body, created_at=newest.created, author=newest.sender or None)
        status = TicketStatus.OPEN
        if found.status == TicketStatus.CLOSED:
            status = TicketStatus.CLOSED
        elif newest and not _is_ours(newest, where):
            # Azure has no status for it: a message of Microsoft's that nobody answered waits for us.
            status = TicketStatus.ATTENTION_NEEDED
        return Ticket(
            number=found.number,
            title=found.title,
            status=status,
            customer_id=where.tenant_id,
            created_at=found.created,
            modified_at=found.modified,
            last_note=note,
            fingerprint=_fingerprint(found),
        )


def azure_subscription(claim: Claim) -> AzureSubscription | None:
    """Where the claim's ticket is in Azure; None where it isn't there."""
    if claim.route is not Route.AZURE_TICKET or claim.azure_subscription_id is None:
        return None
    return AzureSubscription(
        tenant_id=claim.opening.customer_id,
        subscription_id=claim.azure_subscription_id,
        sender=person.email if (person := azure_tickets.contact(claim, None)) else None,
    )


def is_our_own(error: BaseException | None) -> bool:
    """Whether Microsoft refuses our application itself, its id or secret: that isn't about the customer's things."""
    return isinstance(error, Forbidden) and error.operation == TOKEN_REQUEST


def _place(where: AzureSubscription) -> Place:
    return Place(where.tenant_id, where.subscription_id)


def _fingerprint(ticket: SupportTicket) -> str:
    # Azure's own word, not ours: the list doesn't tell whose the newest message is. To the fraction of a second, which
    # Azure gives in both places.
    return f"{ticket.status}|{ticket.modified.isoformat() if ticket.modified else ''}"


def _is_ours(message: Communication, where: AzureSubscription) -> bool:
    """By its name, or by its sender's domain, which colleagues share: the direction is documented one way and recorded
    the other (facts 2.4)."""
    domain = where.sender.rpartition("@")[2].lower() if where.sender else ""
    return message.name.startswith(_OUR_REPLY) or (bool(domain) and message.sender.lower().endswith(f"@{domain}"))


async def _to_its_end(sending: Awaitable[T]) -> T:
    """What is sent is sent to its end, whoever cancels meanwhile: an answer that nobody read would be a riddle."""
    task = asyncio.ensure_future(sending)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _check_time(name: str, send_before: datetime | None) -> None:
    """Raises where it is too late to send anything; what an earlier attempt sent is given time to be seen."""
    now = datetime.now(UTC)
    if send_before is None or now < send_before:
        return
    if now < send_before + _SEEN_WITHIN:
        raise _not_yet(name)
    raise _NotByUs(f"The deadline passed before Azure took ticket {name}.")


def _not_yet(name: str) -> ApplicationError:
    return ApplicationError(
        f"Azure doesn't show ticket {name} yet.", type="not_found", category=ApplicationErrorCategory.BENIGN
    )


def _why(error: MicrosoftError) -> str:
    """For the person who has to file it: what Azure said, and what would let claimdesk do it next time."""
    match error:
        case SupportPlanTooLow():
            hint = "The partner's support plan has to be Professional Direct, Premier or Unified."
        case Forbidden():
            hint = "The service account needs the role Support Request Contributor on the subscription."
        case ConsentMissing():
            hint = "The partner isn't let into the customer's tenant."
        case _:
            hint = "Azure refused the ticket."
    return f"{hint} {error}"
