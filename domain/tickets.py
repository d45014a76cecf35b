"""A ticket at Microsoft: a service request at Partner Center, or a support ticket in Azure."""

from datetime import datetime
from enum import StrEnum

from domain.model import Frozen


class TicketStatus(StrEnum):
    """Partner Center's status of a service request. An Azure ticket is open, closed, or, where the newest message on it
    is Microsoft's, in need of attention."""

    OPEN = "open"
    CLOSED = "closed"
    ATTENTION_NEEDED = "attention_needed"
    UNKNOWN = "unknown"


class TicketNote(Frozen):
    """A note on a service request, or a message on an Azure ticket, by either side."""

    text: str
    created_at: datetime | None
    author: str | None


class Ticket(Frozen):
    """A ticket as read back from Microsoft. `created_at` is the time of filing, whenever we learned of it."""

    number: str
    title: str
    status: TicketStatus
    customer_id: str | None
    created_at: datetime
    modified_at: datetime | None
    last_note: TicketNote | None = None
    fingerprint: str


def fingerprint(status: TicketStatus, modified_at: datetime | None) -> str:
    """What changes when Microsoft changes a ticket; the same from the list and from the ticket itself."""
    return f"{status}|{modified_at.isoformat(timespec='seconds') if modified_at else ''}"


class TicketLookup(Frozen):
    """What looking a number up gave: the ticket, or nothing visible yet."""

    ticket: Ticket | None
    other_customer: bool = False
    """The number exists, and belongs to a customer that isn't the claim's."""
    azure_subscription_id: str | None = None
    """Where it was found, for a ticket in Azure."""
    unreadable: str | None = None
    """Why Microsoft doesn't let us look for it."""


def question_on(ticket: Ticket, answered: TicketNote | None, last_reply: str | None) -> str | None:
    """What Microsoft asks on the ticket, or None: it shows a question that was answered, and our reply, a while."""
    note = ticket.last_note
    if ticket.status is not TicketStatus.ATTENTION_NEEDED:
        return None
    if note and (note == answered or (last_reply and note.text.split() == last_reply.split())):
        return None
    return note.text if note and note.text else "Microsoft needs attention; see the ticket."


def unread(number: str, customer_id: str, at: datetime) -> Ticket:
    """A ticket that Microsoft doesn't let us read, on the word of who recorded it `at` that instant."""
    return Ticket(
        number=number,
        title="",
        status=TicketStatus.UNKNOWN,
        customer_id=customer_id,
        created_at=at,
        modified_at=None,
        fingerprint="unread",
    )


def is_older(ticket: Ticket, known: Ticket) -> bool:
    """True for an earlier state than the one known: what is written isn't visible everywhere at once."""
    return bool(ticket.modified_at and known.modified_at and ticket.modified_at < known.modified_at)
