"""Claims on their way, for the tests of the domain: each got where it is by the events that lead there."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from domain import lifecycle, settlement
from domain.claims import (
    Allocation,
    Claim,
    Contact,
    CreditState,
    Event,
    Incident,
    Opening,
    Outcome,
    RaisedBy,
    Status,
    Timer,
    next_timer,
)
from domain.deadlines import grace_ends_at, reminders, resolve
from domain.evidence import Document, EvidenceKind, Requirement
from domain.lifecycle import Change, Triaged
from domain.messages import RecordDecision, RecordFiling, Withdraw
from domain.money import Money
from domain.policy import Category, Commerce
from domain.roles import Actor, Role
from domain.tickets import Ticket, TicketLookup, TicketNote, TicketStatus, fingerprint
from domain.triage import Route, Triage

INCIDENT = date(2026, 2, 15)
OPENED_AT = datetime(2026, 2, 16, 10, tzinfo=UTC)
DUE_AT = datetime(2026, 4, 1, tzinfo=UTC)
NUMBER = "2602160040001234"
FORM, REQUEST = EvidenceKind.CREDIT_REQUEST_FORM, EvidenceKind.CUSTOMER_REQUEST


def actor(role: Role = Role.ADMIN_AGENT) -> Actor:
    return Actor(subject=f"someone-{role}", name="Someone", role=role, tenant_id="tenant")


def opened(
    category: Category = Category.TECHNICAL_ISSUE,
    asked: str | None = None,
    reference: str | None = "EX25194",
    raised_by: RaisedBy = RaisedBy.PARTNER,
) -> Claim:
    claim = Claim(
        id="claim-0123456789abcdef0123",
        opening=Opening(
            customer_id="7D3C8A0E-customer",
            subscription_id="51AB-subscription",
            category=category,
            incident=Incident(date=INCIDENT, reference=reference, description="Mail stood still for a day"),
            raised_by=raised_by,
            amount_asked=Money(amount=asked, currency="EUR") if asked else None,
            contact=Contact(name="Desk", email="desk@partner.example"),
        ),
        opened_by=actor(),
        opened_at=OPENED_AT,
        request_hash="hash",
        customer_name="Contoso",
        status_since=OPENED_AT,
    )
    return do(claim, lifecycle.opened(claim))


def do(claim: Claim, change: Change, at: datetime = OPENED_AT, by: Actor | None = None) -> Claim:
    return lifecycle.apply(claim, change, at, by)[0]


def found(
    route: Route = Route.SERVICE_REQUEST,
    *,
    now: datetime = OPENED_AT,
    expected: tuple[str, ...] = (),
    window_shuts_at: datetime | None = None,
) -> Triaged:
    """What triage finds on `now`; the deadline is that of any claim: 31 March 2026."""
    deadline = resolve(Category.TECHNICAL_ISSUE, Commerce.LEGACY, INCIDENT)
    return Triaged(
        triage=Triage(
            route=route, rule="a_rule", explanation="A reason.", source="S0", window_shuts_at=window_shuts_at
        ),
        commerce=Commerce.LEGACY,
        product="Exchange Online",
        deadline=deadline,
        grace_ends_at=grace_ends_at(max(deadline.due_at, now), ()),
        reminders=reminders(deadline.instants, ZoneInfo("UTC"), (), now),
        requirements=tuple(Requirement(kind=kind, required=True, source="S0") for kind in (FORM, REQUEST)),
        credit=CreditState(
            expected=tuple(Decimal(amount) for amount in expected), currency="EUR", since=OPENED_AT.date()
        )
        if expected
        else CreditState(),
    )


def document(kind: EvidenceKind = FORM, name: str = "1") -> Document:
    return Document(
        id=f"doc-{kind}-{name}",
        kind=kind,
        filename=f"{name}.pdf",
        media_type="application/pdf",
        size=1234,
        sha256=f"{kind}-{name}",
        attached_at=OPENED_AT,
        attached_by=actor(),
    )


def ticket(
    number: str = NUMBER,
    *,
    status: TicketStatus = TicketStatus.OPEN,
    created: datetime = OPENED_AT + timedelta(days=1),
    modified: datetime | None = None,
    note: str | None = None,
) -> Ticket:
    modified = modified or created
    return Ticket(
        number=number,
        title="Credit request",
        status=status,
        customer_id="7d3c8a0e-customer",
        created_at=created,
        modified_at=modified,
        last_note=TicketNote(text=note, created_at=modified, author="Microsoft") if note is not None else None,
        fingerprint=fingerprint(status, modified),
    )


def seen(what: Ticket | None) -> TicketLookup:
    return TicketLookup(ticket=what)


def filing(number: str = NUMBER) -> RecordFiling:
    return RecordFiling(actor=actor(), request_hash="hash", ticket_number=number)


def decision(outcome: Outcome = Outcome.APPROVED, amount: str | None = "100.00") -> RecordDecision:
    money = Money(amount=amount, currency="EUR") if amount else None
    return RecordDecision(actor=actor(), request_hash="hash", outcome=outcome, amount=money, reason="Their mail")


def withdrawal() -> Withdraw:
    return Withdraw(actor=actor(), request_hash="hash", reason="Not worth it")


def allocation(amount: str = "100.00", name: str = "1") -> Allocation:
    return Allocation(
        id=f"alloc-{name}",
        line_id=f"line-{name}",
        invoice_id="G000123",
        amount=Decimal(amount),
        currency="EUR",
        by_hand=True,
    )


def due(claim: Claim) -> Timer:
    """The timer that is set."""
    timer = next_timer(claim)
    assert timer is not None
    return timer


def until(claim: Claim, event: Event) -> Claim:
    """Let time pass up to this event, which must come by itself."""
    for _ in range(10):
        timer = due(claim)
        claim = do(claim, lifecycle.timed(claim, timer), timer.at)
        if timer.event is event:
            return claim
    raise AssertionError(f"{event} never came")


def reach(status: Status, asked: str | None = None) -> Claim:
    """A claim in this status."""
    claim = opened(asked=asked)
    match status:
        case Status.TRIAGING:
            return claim
        case Status.CANCEL_NOW:
            shuts_at = OPENED_AT + timedelta(days=3)
            return do(claim, lifecycle.triaged(claim, found(Route.CANCEL_NOW, window_shuts_at=shuts_at)))
        case Status.NOT_CLAIMABLE:
            return do(claim, lifecycle.triaged(claim, found(Route.NOT_CLAIMABLE)))
        case Status.WITHDRAWN:
            return do(claim, lifecycle.withdrawn(claim, withdrawal()))
        case Status.COLLECTING_EVIDENCE:
            return do(claim, lifecycle.triaged(claim, found()))
        case Status.READY_TO_FILE:
            claim = reach(Status.COLLECTING_EVIDENCE, asked)
            for kind in (FORM, REQUEST):
                claim = do(claim, lifecycle.attached(claim, document(kind)))
            return claim
        case Status.OVERDUE:
            return until(reach(Status.READY_TO_FILE, asked), Event.DEADLINE_PASSED)
        case Status.EXPIRED:
            return until(reach(Status.OVERDUE, asked), Event.GRACE_ENDED)
        case Status.FILED:
            claim = reach(Status.READY_TO_FILE, asked)
            at = OPENED_AT + timedelta(days=1)
            return do(claim, lifecycle.filed(claim, filing(), seen(ticket()), at), at)
        case Status.NEEDS_INFORMATION:
            return asking(reach(Status.FILED, asked))
        case Status.AWAITING_CREDIT:
            claim = reach(Status.FILED, asked)
            at = OPENED_AT + timedelta(days=20)
            return do(claim, settlement.decided(claim, decision(), at), at)
        case Status.DENIED:
            claim = reach(Status.FILED, asked)
            return do(claim, settlement.decided(claim, decision(Outcome.DENIED, None), OPENED_AT))
        case Status.CREDITED:
            claim = reach(Status.AWAITING_CREDIT, asked)
            return do(claim, settlement.allocated(claim, allocation()))


AZURE_SUBSCRIPTION = "a2b9d6a0-0f5e-4b0e-9a70-3f5f2c3f0a55"


def azure(role: Role = Role.ADMIN_AGENT, *, complete: bool = True) -> Claim:
    """An Azure-related claim that somebody in this role opened, with its documents if it is `complete`."""
    claim = opened().model_copy(update={"opened_by": actor(role)})
    triaged = found(Route.AZURE_TICKET).model_copy(update={"azure_subscription_id": AZURE_SUBSCRIPTION})
    claim = do(claim, lifecycle.triaged(claim, triaged))
    for kind in (FORM, REQUEST) if complete else ():
        claim = do(claim, lifecycle.attached(claim, document(kind)))
    return claim


def asking(claim: Claim, question: str = "Which users?", at: datetime = OPENED_AT + timedelta(days=2)) -> Claim:
    """Microsoft asks on the ticket, and the sweep saw it."""
    assert claim.ticket is not None
    asked = ticket(
        claim.ticket.number,
        status=TicketStatus.ATTENTION_NEEDED,
        created=claim.ticket.created_at,
        modified=at,
        note=question,
    )
    change = lifecycle.ticket_seen(claim, seen(asked), at)
    assert change is not None
    return do(claim, change, at)
