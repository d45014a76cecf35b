"""What people ask of a claim: the arguments of the workflow's Updates, one model each, and what signals carry."""

from typing import Annotated

from pydantic import Field, StringConstraints

from domain.claims import Outcome
from domain.evidence import Document
from domain.model import READABLE, Frozen, written
from domain.money import Money
from domain.roles import Actor

Reason = Annotated[str, written(1000), READABLE]
TicketNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{10,20}$")]


class Command(Frozen):
    """Who asks, in which role, and a hash of what they asked, so that a second body under one key is noticed."""

    actor: Actor
    request_hash: str


class AttachEvidence(Command):
    """A document that is in the blob store already."""

    document: Document
    at_most: int = 50
    """How many documents the claim may have."""


class RevokeEvidence(Command):
    """Take a document off the checklist; its content is kept."""

    document_id: str
    reason: Reason


class RecordFiling(Command):
    """The number of the ticket that a person filed in the portal, or the right one instead of a wrong one."""

    ticket_number: TicketNumber


class FileTicket(Command):
    """Have claimdesk file the ticket itself, by API, or try again what Microsoft refused."""


class Reply(Command):
    """The answer to Microsoft's question; it becomes a note on the ticket."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class RecordDecision(Command):
    """Microsoft's decision, as a person read it. `amount` is before tax; approved in whole it may be left out where an
    amount was asked."""

    outcome: Outcome
    amount: Money | None = None
    reason: Reason


class AllocateCredit(Command):
    """Give this claim an invoice line, or an amount of it."""

    line_id: str
    amount: Money | None = Field(default=None)


class ReleaseCredit(Command):
    """Take an allocation back."""

    allocation_id: str
    reason: Reason


class WriteOff(Command):
    """Stop waiting for the rest of the money."""

    reason: Reason


class Dispute(Command):
    """Take a credit that didn't come, or came wrong, back to Microsoft."""

    reason: Reason


class Assign(Command):
    """Give the claim to a colleague, or to nobody."""

    assignee: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None


class Withdraw(Command):
    """End the claim without filing, or without waiting any longer."""

    reason: Reason


class Reopen(Command):
    """Take a closed claim up again."""

    reason: Reason


class FileAsException(Command):
    """File although no rule grants it, or although the deadline has passed; the reason goes into the packet."""

    reason: Reason


class CheckAgain(Command):
    """Ask Microsoft again how the subscription stands."""


class Opened(Frozen):
    """Asks a claim that was just started whether it is recorded."""

    request_hash: str


class TicketNews(Frozen):
    """The sweep saw a ticket change; the workflow reads it."""

    ticket_number: str
    fingerprint: str


class CreditNews(Frozen):
    """The sweep saw something to match: new lines, or an invoice without one."""

    seen: str
    """What was seen, so that repeats are recognised."""
