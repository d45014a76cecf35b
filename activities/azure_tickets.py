"""Azure support tickets: filed with their documents, looked up, answered, and listed for the sweep."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.failures import told
from activities.heartbeats import heartbeating
from domain import azure_tickets
from domain.claims import Claim, Contact
from domain.model import Frozen
from domain.tickets import Ticket, TicketLookup, TicketNote, TicketStatus
from domain.triage import Route
from microsoft.errors import Ambiguous, ConsentMissing, Forbidden, MicrosoftError, NotFound, Rejected, SupportPlanTooLow
from microsoft.operations import Operation, wait_for
from microsoft.support import Communication, NewTicket, Place, Support, SupportTicket
from microsoft.support import Contact as TicketContact
from runtime.blobs import BlobNotFound, Blobs

LONGEST_OPERATION = timedelta(minutes=8)
"""How long Azure may take over a ticket before the attempt ends; the next one looks for it by its name."""

_OUR_REPLY = "reply-"
_LOOKS_AT_A_MESSAGE = 5
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

T = TypeVar("T")

_SEEN_WITHIN = timedelta(minutes=10)
"""After so long a ticket that was sent before can be seen, if Azure took it."""

# What Azure refuses for good: the plan or a right is missing, or the ticket isn't one it takes.
_REFUSALS = (Rejected, Forbidden, ConsentMissing)


class AzureSubscription(Frozen):
    """Where a claim's ticket is in Azure: the customer's tenant, and the subscription (GUID). `sender` is the e-mail
    address that our own messages are from."""

    tenant_id: str
    subscription_id: str
    sender: str


class FileAzureTicket(Frozen):
    """The claim whose ticket is to be filed under the name that it has on record. `workspace` is where its documents
    are uploaded to: a new name, since Azure forgets a workspace after 24 hours. Nothing is sent from `send_before` on;
    what was sent before is still looked for."""

    claim: Claim
    workspace: str
    send_before: datetime | None


class AzureFiling(Frozen):
    """What came of it: the ticket as Azure shows it, or why a person has to file it."""

    ticket: Ticket | None = None
    refused: str | None = None


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


class AzureTickets:
    """Files, reads and answers Azure support tickets on behalf of customers."""

    def __init__(self, support: Support, blobs: Blobs, filer: Filer) -> None:
        self._support = support
        self._blobs = blobs
        self._filer = filer

    @activity.defn(name="file_azure_ticket")
    async def file(self, wanted: FileAzureTicket) -> AzureFiling:
        """Uploads the claim's documents, files its ticket, and reads it back. Heartbeats. Safe to run twice: the ticket
        is looked for by its name first, and Azure takes one ticket of a name.

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
                        _check_time(name, wanted.send_before)
                        new = await self._new_ticket(place, claim, wanted.workspace)
                        operation = await _to_its_end(self._support.create(place, name, new))
                    if operation is not None:
                        started.append(operation.url)
                        activity.heartbeat(operation.url)
                        await self._until_over(place, operation, name)
                    found = (await self.look_up(where, name)).ticket
                except _NotByUs as error:
                    return AzureFiling(refused=str(error))
                except _REFUSALS as error:
                    return AzureFiling(refused=_why(error))
                if found is None:
                    raise _not_yet(name)
                return AzureFiling(ticket=found)

    async def _resumed(self, place: Place, url: str) -> Operation | None:
        """The operation that an earlier attempt began, None where there is none to go on with: one that failed for a
        reason of Microsoft's own leaves the ticket's name free."""
        if not url:
            return None
        try:
            return await self._support.look(place, url)
        except (NotFound, Ambiguous):
            return None

    async def _until_over(self, place: Place, operation: Operation, name: str) -> None:
        try:
            await wait_for(operation, lambda: self._support.look(place, operation.url), longest=LONGEST_OPERATION)
        except (TimeoutError, NotFound):
            raise _not_yet(name) from None

    async def _new_ticket(self, place: Place, claim: Claim, workspace: str) -> NewTicket:
        """The ticket, with its documents uploaded. Raises _NotByUs where there can't be one."""
        if why := azure_tickets.attachments_refusal(claim.documents):
            raise _NotByUs(why)
        person = azure_tickets.contact(claim, self._filer.contact)
        if person is None:
            raise _NotByUs("The claim's contact isn't the partner's, and CLAIMDESK_CONTACT_EMAIL names none of ours.")
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

    async def look_up(self, where: AzureSubscription, number: str) -> TicketLookup:
        """The ticket of this number, or of this name, as Azure shows it now; nothing where it shows none.

        Raises what `Support` raises.
        """
        found = await self._found(where, number)
        return TicketLookup(ticket=await self._told(where, found) if found else None)

    async def reply(self, where: AzureSubscription, number: str, text: str, key: str) -> Ticket:
        """Adds the text as a message and gives the ticket as it is then. `key` names the answer: the same text under
        the same key isn't added again. Raises what `Support` raises, NotFound also while the message can't be seen."""
        place = _place(where)
        found = await self._found(where, number)
        if found is None:
            raise NotFound("read ticket", "Azure", description=f"there is no ticket {number}")
        name = f"{_OUR_REPLY}{hashlib.sha256(f'{key}|{text}'.encode()).hexdigest()[:32]}"
        try:
            await self._support.communication(place, found.name, name)
        except NotFound:
            operation = await _to_its_end(
                self._support.communicate(place, found.name, name, subject="Our answer", body=text, sender=where.sender)
            )
            await self._is_seen(place, found.name, name, operation)
        told = await self._told(where, await self._support.ticket(place, found.name))
        if told is None:
            raise NotFound("read ticket", "Azure", description="the ticket has no date yet")
        return told

    async def fingerprints(self, where: AzureSubscription) -> AsyncIterator[dict[str, str]]:
        """The fingerprint of every ticket on the subscription, page by page, by its number."""
        async for page in self._support.tickets(_place(where)):
            yield {ticket.number: _fingerprint(ticket) for ticket in page}

    async def _is_seen(self, place: Place, ticket: str, name: str, operation: Operation | None) -> None:
        """Waits until the message can be read, a person waits with us; raises where Azure refuses it after all."""
        for _ in range(_LOOKS_AT_A_MESSAGE):
            if operation is not None:
                await self._support.look(place, operation.url)
            with suppress(NotFound):
                await self._support.communication(place, ticket, name)
                return
            await asyncio.sleep(1)
        raise NotFound("read message", "Azure", description="the message can't be seen yet")

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
        sender=claim.opening.contact.email,
    )


def _place(where: AzureSubscription) -> Place:
    return Place(where.tenant_id, where.subscription_id)


def _fingerprint(ticket: SupportTicket) -> str:
    # Azure's own word, not ours: the list doesn't tell whose the newest message is. To the fraction of a second, which
    # Azure gives in both places.
    return f"{ticket.status}|{ticket.modified.isoformat() if ticket.modified else ''}"


def _is_ours(message: Communication, where: AzureSubscription) -> bool:
    """By its name or its sender: the direction is documented one way and recorded the other (facts 2.4)."""
    return message.name.startswith(_OUR_REPLY) or message.sender.lower() == where.sender.lower()


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
            hint = "An administrator of the customer has to consent to the partner's application."
        case _:
            hint = "Azure refused the ticket."
    return f"{hint} {error}"
