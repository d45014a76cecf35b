"""A credit claim: its words, its state, and the one table that says what may happen in which status."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from domain.deadlines import Deadline, Reminder
from domain.evidence import ChecklistItem, Document, EvidenceKind, Requirement, checklist, is_complete
from domain.model import ONE_LINE, READABLE, Frozen, Refusal, written
from domain.money import Amount, Currency, Money
from domain.policy import Category, Commerce
from domain.roles import PERMISSIONS, Action, Actor, Role, acting_role
from domain.tickets import Ticket, TicketNote
from domain.triage import Route, Triage

UNVERIFIED_FOR = timedelta(hours=24)
"""How long a ticket number that Microsoft doesn't show yet is kept before it is refused."""


class Status(StrEnum):
    """Where a claim stands."""

    TRIAGING = "triaging"
    CANCEL_NOW = "cancel_now"
    COLLECTING_EVIDENCE = "collecting_evidence"
    READY_TO_FILE = "ready_to_file"
    OVERDUE = "overdue"
    FILED = "filed"
    NEEDS_INFORMATION = "needs_information"
    AWAITING_CREDIT = "awaiting_credit"
    CREDITED = "credited"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    NOT_CLAIMABLE = "not_claimable"

    @property
    def is_closed(self) -> bool:
        """True where nobody is waited on any more and the workflow has ended."""
        return self in CLOSED


CLOSED = frozenset({Status.CREDITED, Status.DENIED, Status.EXPIRED, Status.WITHDRAWN, Status.NOT_CLAIMABLE})
OPEN = frozenset(Status) - CLOSED


_TO_BE_FILED = frozenset(
    {Status.COLLECTING_EVIDENCE, Status.READY_TO_FILE, Status.OVERDUE, Status.FILED, Status.NEEDS_INFORMATION}
)


class WaitingOn(StrEnum):
    """Who has to do something next."""

    CLAIMDESK = "claimdesk"
    US = "us"
    CUSTOMER = "customer"
    MICROSOFT = "microsoft"
    MICROSOFT_BILLING = "microsoft_billing"
    NOBODY = "nobody"


class Event(StrEnum):
    """Everything that can happen to a claim. Those named like an `Action` are done by a person."""

    OPENED = "opened"
    TRIAGED = "triaged"
    WINDOW_SHUT = "window_shut"
    REMINDER_DUE = "reminder_due"
    DEADLINE_PASSED = "deadline_passed"
    GRACE_ENDED = "grace_ended"
    TICKET_SENT = "ticket_sent"
    TICKET_READ = "ticket_read"
    TICKET_REFUSED = "ticket_refused"
    TICKET_CHANGED = "ticket_changed"
    QUESTION_ASKED = "question_asked"
    CREDIT_MATCHED = "credit_matched"
    ATTACH_EVIDENCE = "attach_evidence"
    REVOKE_EVIDENCE = "revoke_evidence"
    RECORD_FILING = "record_filing"
    FILE_TICKET = "file_ticket"
    REPLY = "reply"
    RECORD_DECISION = "record_decision"
    ALLOCATE_CREDIT = "allocate_credit"
    RELEASE_CREDIT = "release_credit"
    WRITE_OFF = "write_off"
    DISPUTE = "dispute"
    ASSIGN = "assign"
    WITHDRAW = "withdraw"
    REOPEN = "reopen"
    FILE_AS_EXCEPTION = "file_as_exception"
    CHECK_AGAIN = "check_again"

    @property
    def action(self) -> Action | None:
        """The action of a person that this event is, or None for one of time or of Microsoft."""
        return next((action for action in Action if action.value == self.value), None)


class Incident(Frozen):
    """What the claim is about. `date` is a UTC day; `reference` is Microsoft's incident or tracking id."""

    date: date
    reference: Annotated[str, written(100), ONE_LINE] | None = None
    description: Annotated[str, written(4000), READABLE]
    is_advisory: bool = False


class Contact(Frozen):
    """Whom Microsoft may write to about the claim: the partner's own, never the customer's."""

    name: Annotated[str, written(200), ONE_LINE]
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)
    phone: Annotated[str, written(50), ONE_LINE] | None = None


class RaisedBy(StrEnum):
    """Who raised the claim. Whoever raised it, only the partner files it."""

    CUSTOMER = "customer"
    INDIRECT_RESELLER = "indirect_reseller"
    PARTNER = "partner"


class Opening(Frozen):
    """What the person who opened the claim said."""

    customer_id: str
    subscription_id: str
    category: Category
    incident: Incident
    raised_by: RaisedBy
    amount_asked: Money | None = None
    amount_basis: Annotated[str, written(500), ONE_LINE] | None = None
    contact: Contact
    stopped_on: date | None = None
    """The day the subscription was suspended or cancelled, where it was and that isn't the day of the incident."""
    billing_day: int | None = Field(default=None, ge=1, le=31)
    """The day of the month on which a legacy subscription is billed, where it isn't the calendar month."""


class Outcome(StrEnum):
    """Microsoft's decision as a person records it."""

    APPROVED = "approved"
    APPROVED_IN_PART = "approved_in_part"
    DENIED = "denied"


class Decision(Frozen):
    """Microsoft's decision; `amount` is before tax, and None for a denial."""

    outcome: Outcome
    amount: Money | None
    reason: str
    decided_at: datetime
    recorded_by: Actor


class Filing(Frozen):
    """The ticket number a person gave, or the ticket that claimdesk files itself, and what became of it."""

    number: str
    """Microsoft's; the ticket's name until Microsoft gave a number to one that claimdesk files."""
    ticket_name: str | None = None
    """The name, chosen by us, under which claimdesk files it in Azure; None for one filed by hand."""
    recorded_at: datetime
    recorded_by: Actor
    """Who gave the number, or who had claimdesk file it."""
    give_up_at: datetime
    """When a number that Microsoft still doesn't show is refused."""
    ticket: Ticket | None = None
    """None while unverified."""


class Allocation(Frozen):
    """An amount of an invoice line given to this claim, before tax, positive."""

    id: str
    line_id: str
    invoice_id: str
    amount: Amount
    currency: Currency
    by_hand: bool


class CreditState(Frozen):
    """What is known of the money after approval."""

    expected: tuple[Amount, ...] = ()
    """The total amounts that would settle the claim, by each published rounding; empty while none is known."""
    exact: Amount | None = None
    """The figure before rounding, where one was worked out; `tolerance` is around it."""
    tolerance: Amount = Decimal(0)
    currency: Currency | None = None
    since: date | None = None
    allocations: tuple[Allocation, ...] = ()
    released_lines: tuple[str, ...] = ()
    """Lines that a person took back; matching doesn't give them to the claim again."""
    contested_lines: tuple[str, ...] = ()
    late_since_invoice: str | None = None

    @property
    def allocated(self) -> Decimal:
        """The sum of the allocations."""
        return sum((allocation.amount for allocation in self.allocations), Decimal(0))

    @property
    def is_settled(self) -> bool:
        """True when what is allocated reaches an expected amount, or is anything at all where none was known."""
        if not self.allocations:
            return False
        near = self.exact is not None and abs(self.allocated - self.exact) <= self.tolerance
        return not self.expected or near or self.allocated >= min(self.expected)


class Answer(Frozen):
    """What a person's request was answered; kept, so that the same request gets the same answer."""

    claim_id: str
    version: int
    status: Status
    request_hash: str
    result: str | None = None
    """The id of the document or the allocation that the request made."""


class Entry(Frozen):
    """One entry of the timeline. `version` is the claim's after it; `actor` is None where no person did it."""

    version: int
    at: datetime
    event: Event
    status: Status
    actor: Actor | None
    text: str


class Claim(Frozen):
    """The whole state of a claim: what the workflow carries and the records keep."""

    id: str
    opening: Opening
    opened_by: Actor
    opened_at: datetime
    request_hash: str
    customer_name: str
    customer_domains: tuple[str, ...] = ()
    version: int = 0
    status: Status = Status.TRIAGING
    status_since: datetime
    assignee: str | None = None
    commerce: Commerce | None = None
    product: str | None = None
    triage: Triage | None = None
    deadline: Deadline | None = None
    grace_ends_at: datetime | None = None
    reminders: tuple[Reminder, ...] = ()
    """The reminders still to come."""
    requirements: tuple[Requirement, ...] = ()
    azure_subscription_id: str | None = None
    """The Azure subscription (GUID) on which an Azure-related claim's ticket is filed; None where none is known."""
    other_azure_subscriptions: tuple[str, ...] = ()
    """Those beside it on which a person may have filed the ticket."""
    sent_for: Actor | None = None
    """Who asked claimdesk to file the ticket; None where nobody had to ask, or hasn't."""
    was_reopened: bool = False
    """A person took the closed claim up again; what happened to it before may include a ticket."""
    assisted_reason: str | None = None
    """Why claimdesk can't file the ticket itself, so that a person has to."""
    documents: tuple[Document, ...] = ()
    exception_reason: str | None = None
    filing: Filing | None = None
    earlier_filings: tuple[str, ...] = ()
    """Ticket numbers that were corrected, refused or left behind by a reopening."""
    question: str | None = None
    answered: TicketNote | None = None
    """The note whose question was answered last; Microsoft may show it for a while after."""
    last_reply: str | None = None
    reply_under_way: str | None = None
    """Where Azure tells (an address of some KB) whether it took the last reply; None once that is known."""
    decision: Decision | None = None
    credit: CreditState = CreditState()
    closing_reason: str | None = None
    answers: dict[str, Answer] = Field(default_factory=dict)

    @property
    def route(self) -> Route | None:
        """The way the claim goes; None until triaged."""
        return self.triage.route if self.triage else None

    @property
    def ticket(self) -> Ticket | None:
        """The ticket as read back, or None."""
        return self.filing.ticket if self.filing else None

    @property
    def checklist(self) -> tuple[ChecklistItem, ...]:
        """The evidence asked for, with what is still missing."""
        return checklist(self.requirements, self.documents)

    @property
    def is_filed_by_claimdesk(self) -> bool:
        """True where claimdesk files by API: an Azure-related claim that Microsoft doesn't refuse to take so, opened by
        somebody who may file, or handed to claimdesk by one. What had a ticket before isn't given another unasked."""
        first = (
            not self.earlier_filings
            and not self.was_reopened
            and self.opened_by.role in PERMISSIONS[Action.FILE_TICKET]
        )
        return (
            self.route is Route.AZURE_TICKET
            and self.azure_subscription_id is not None
            and self.assisted_reason is None
            and (self.sent_for is not None or first)
        )

    @property
    def send_before(self) -> datetime | None:
        """The first instant at which nothing may be sent any more, UTC; None where it is filed as an exception."""
        return self.deadline.due_at if self.deadline and self.exception_reason is None else None

    @property
    def is_to_be_sent(self) -> bool:
        """True while claimdesk has a ticket to file, or one under way whose outcome isn't known."""
        if not self.is_filed_by_claimdesk or self.status not in TABLE[Event.TICKET_SENT]:
            return False
        if self.filing is not None:
            return self.filing.ticket_name is not None and self.filing.ticket is None
        in_time = self.status is Status.READY_TO_FILE or self.exception_reason is not None
        return in_time and is_complete(self.checklist)

    @property
    def is_reply_under_way(self) -> bool:
        """True while it isn't known whether Azure took our reply, and that still matters."""
        return self.reply_under_way is not None and self.status in TABLE[Event.QUESTION_ASKED]

    @property
    def due_at(self) -> datetime | None:
        """The first instant too late for filing, UTC; None where nothing has to be filed (any more)."""
        return self.deadline.due_at if self.deadline and self.status in _TO_BE_FILED else None

    @property
    def open_key(self) -> str | None:
        """The same for two claims about the same thing; None once closed. Two open claims never share one."""
        if self.status.is_closed:
            return None
        said = self.opening
        incident = said.incident.reference or said.incident.date.isoformat()
        return "|".join((said.customer_id, said.subscription_id, said.category, incident)).lower()

    @property
    def waiting_on(self) -> WaitingOn:
        """Who has to do something next."""
        match self.status:
            case Status.TRIAGING:
                return WaitingOn.CLAIMDESK
            case Status.COLLECTING_EVIDENCE:
                missing = {item.kind for item in self.checklist if item.required and not item.satisfied}
                return WaitingOn.CUSTOMER if missing == {EvidenceKind.CUSTOMER_REQUEST} else WaitingOn.US
            case Status.READY_TO_FILE | Status.OVERDUE if self.is_to_be_sent:
                return WaitingOn.CLAIMDESK
            case Status.READY_TO_FILE | Status.OVERDUE if self.filing:
                return WaitingOn.MICROSOFT
            case Status.CANCEL_NOW | Status.READY_TO_FILE | Status.OVERDUE | Status.NEEDS_INFORMATION:
                return WaitingOn.US
            case Status.FILED:
                closed = self.ticket is not None and self.ticket.status == "closed"
                return WaitingOn.US if closed else WaitingOn.MICROSOFT
            case Status.AWAITING_CREDIT:
                needs_us = self.credit.late_since_invoice or self.credit.contested_lines
                return WaitingOn.US if needs_us else WaitingOn.MICROSOFT_BILLING
        return WaitingOn.NOBODY


Guard = Callable[[Claim], Refusal | None]


def complete(claim: Claim) -> Refusal | None:
    """A refusal that names the required documents still missing; None where none is."""
    if is_complete(claim.checklist):
        return None
    missing = "; ".join(item.missing for item in claim.checklist if item.required and item.missing)
    return Refusal(rule="checklist_complete", message=f"Required documents are missing: {missing}.")


def _not_given_to_microsoft(claim: Claim) -> Refusal | None:
    if claim.filing is None:
        return None
    return Refusal(
        rule="documents_filed",
        message=f"The documents went to Microsoft with ticket {claim.filing.number}, which is still looked for. Wait "
        "until it is found or refused; a better document can be attached beside this one.",
    )


def _can_be_sent(claim: Claim) -> Refusal | None:
    if claim.route is not Route.AZURE_TICKET or claim.azure_subscription_id is None:
        azure = claim.route is Route.AZURE_TICKET
        only = "The claim's Azure subscription isn't known" if azure else "Microsoft takes this kind in its portal only"
        why = claim.assisted_reason or f"{only}."
        return Refusal(rule="filed_by_hand", message=f"{why} File it by hand and record the ticket's number.")
    if claim.filing is not None or claim.is_to_be_sent:
        return Refusal(rule="ticket_once", message="The ticket is being filed already. Wait until it is read back.")
    if claim.status is Status.OVERDUE and claim.exception_reason is None:
        return Refusal(
            rule="filed_in_time",
            message="The deadline has passed. To file late, say file as exception first.",
        )
    return complete(claim)


@dataclass(frozen=True)
class Move:
    """What an event may do in a status: what the claim may become, and the guard that has to let it."""

    to: frozenset[Status]
    guard: Guard | None = field(default=None)


def _move(*to: Status, guard: Guard | None = None) -> Move:
    return Move(frozenset(to), guard)


_S, _E = Status, Event
_EVIDENCE = (_S.COLLECTING_EVIDENCE, _S.READY_TO_FILE)
_AT_MICROSOFT = (_S.FILED, _S.NEEDS_INFORMATION)
_stay: dict[Status, Move] = {status: _move(status) for status in Status}

TABLE: dict[Event, dict[Status, Move]] = {
    _E.OPENED: {_S.TRIAGING: _stay[_S.TRIAGING]},
    _E.TRIAGED: {
        _S.TRIAGING: _move(
            _S.CANCEL_NOW, _S.AWAITING_CREDIT, _S.COLLECTING_EVIDENCE, _S.READY_TO_FILE, _S.NOT_CLAIMABLE
        )
    },
    _E.WINDOW_SHUT: {_S.CANCEL_NOW: _move(_S.TRIAGING)},
    _E.REMINDER_DUE: {s: _stay[s] for s in (*_EVIDENCE, _S.NEEDS_INFORMATION)},
    _E.DEADLINE_PASSED: {s: _move(_S.OVERDUE) for s in _EVIDENCE},
    _E.GRACE_ENDED: {_S.OVERDUE: _move(_S.EXPIRED)},
    _E.TICKET_SENT: {s: _stay[s] for s in (_S.READY_TO_FILE, _S.OVERDUE)},
    _E.TICKET_READ: {s: _move(*_AT_MICROSOFT) for s in (_S.READY_TO_FILE, _S.OVERDUE)},
    _E.TICKET_REFUSED: {s: _stay[s] for s in (_S.READY_TO_FILE, _S.OVERDUE)},
    _E.TICKET_CHANGED: {s: _move(_S.FILED) for s in _AT_MICROSOFT} | {_S.AWAITING_CREDIT: _stay[_S.AWAITING_CREDIT]},
    _E.QUESTION_ASKED: {s: _move(_S.NEEDS_INFORMATION) for s in _AT_MICROSOFT},
    _E.CREDIT_MATCHED: {_S.AWAITING_CREDIT: _move(_S.AWAITING_CREDIT, _S.CREDITED)},
    _E.ATTACH_EVIDENCE: {s: _move(*_EVIDENCE) for s in _EVIDENCE}
    | {s: _stay[s] for s in (_S.TRIAGING, _S.CANCEL_NOW, _S.OVERDUE, _S.FILED, _S.NEEDS_INFORMATION)},
    _E.REVOKE_EVIDENCE: {s: _move(*_EVIDENCE, guard=_not_given_to_microsoft) for s in _EVIDENCE}
    | {_S.OVERDUE: _move(_S.OVERDUE, guard=_not_given_to_microsoft)}
    | {s: _stay[s] for s in (_S.TRIAGING, _S.CANCEL_NOW)},
    _E.RECORD_FILING: {s: _move(s, *_AT_MICROSOFT, guard=complete) for s in (_S.READY_TO_FILE, _S.OVERDUE)}
    | {s: _move(*_AT_MICROSOFT) for s in _AT_MICROSOFT},
    _E.FILE_TICKET: {s: _move(s, guard=_can_be_sent) for s in (_S.READY_TO_FILE, _S.OVERDUE)},
    _E.REPLY: {_S.NEEDS_INFORMATION: _move(*_AT_MICROSOFT)},
    _E.RECORD_DECISION: {s: _move(_S.AWAITING_CREDIT, _S.CREDITED, _S.DENIED) for s in _AT_MICROSOFT},
    _E.ALLOCATE_CREDIT: {_S.AWAITING_CREDIT: _move(_S.AWAITING_CREDIT, _S.CREDITED)},
    _E.RELEASE_CREDIT: {_S.AWAITING_CREDIT: _stay[_S.AWAITING_CREDIT]},
    _E.WRITE_OFF: {_S.AWAITING_CREDIT: _move(_S.CREDITED, _S.WITHDRAWN)},
    _E.DISPUTE: {_S.AWAITING_CREDIT: _move(*_AT_MICROSOFT, *_EVIDENCE)},
    _E.ASSIGN: {s: _stay[s] for s in Status if s in OPEN},
    _E.WITHDRAW: {s: _move(_S.WITHDRAWN) for s in Status if s in OPEN},
    _E.REOPEN: {s: _move(_S.TRIAGING) for s in Status if s in CLOSED and s is not _S.CREDITED},
    _E.FILE_AS_EXCEPTION: {_S.NOT_CLAIMABLE: _move(_S.TRIAGING), _S.OVERDUE: _stay[_S.OVERDUE]},
    _E.CHECK_AGAIN: {_S.CANCEL_NOW: _move(_S.TRIAGING)},
}
"""Every (event, status) pair. One that isn't here is refused to a person, and ignored from time or Microsoft."""


def refusal(claim: Claim, event: Event, actor: Actor | None = None) -> Refusal | None:
    """Why `event` can't happen to the claim as it stands, or None where it can."""
    action = event.action
    if actor is not None and action is not None and actor.role not in PERMISSIONS[action]:
        allowed = ", ".join(sorted(PERMISSIONS[action]))
        return Refusal(
            rule="role_may_not",
            forbidden=True,
            message=f"The role {actor.role} may not {action.replace('_', ' ')}; these may: {allowed}.",
        )
    move = TABLE[event].get(claim.status)
    if move is None:
        statuses = ", ".join(status for status in Status if status in TABLE[event])
        return Refusal(
            rule="status_allows",
            message=f"A claim that is {claim.status} does not allow {event.replace('_', ' ')}; these do: {statuses}.",
        )
    return move.guard(claim) if move.guard else None


def allowed_actions(claim: Claim, roles: Sequence[Role]) -> tuple[Action, ...]:
    """What a caller with these roles may do to the claim now, read from the table."""
    return tuple(
        event.action
        for event in Event
        if event.action is not None and acting_role(roles, event.action) is not None and refusal(claim, event) is None
    )


@dataclass(frozen=True)
class Timer:
    """The next instant at which something happens to a claim by itself."""

    at: datetime
    event: Event
    summary: str


def next_timer(claim: Claim) -> Timer | None:
    """What time will do to the claim next, if nobody does anything before."""
    timers: list[Timer] = []
    if claim.status is Status.CANCEL_NOW and claim.triage and claim.triage.window_shuts_at:
        timers.append(Timer(claim.triage.window_shuts_at, Event.WINDOW_SHUT, "Cancellation window shuts"))
    if claim.status in TABLE[Event.REMINDER_DUE] and claim.reminders:
        reminder = claim.reminders[0]
        timers.append(
            Timer(reminder.at, Event.REMINDER_DUE, f"Reminder {reminder.days_before} days before the deadline")
        )
    if claim.status in TABLE[Event.DEADLINE_PASSED] and claim.deadline and claim.exception_reason is None:
        timers.append(Timer(claim.deadline.due_at, Event.DEADLINE_PASSED, f"Deadline, due on {claim.deadline.due_on}"))
    if claim.status is Status.OVERDUE and claim.grace_ends_at and claim.filing is None:
        timers.append(Timer(claim.grace_ends_at, Event.GRACE_ENDED, "Ten working days after the deadline"))
    if claim.filing and claim.filing.ticket is None and claim.status in TABLE[Event.TICKET_REFUSED]:
        timers.append(Timer(claim.filing.give_up_at, Event.TICKET_REFUSED, "Ticket number unknown for 24 hours"))
    return min(timers, key=lambda timer: timer.at, default=None)
