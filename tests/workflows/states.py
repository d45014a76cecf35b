"""Claims in each status as the domain's own rules bring them there, with records, tickets and subscriptions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from domain import lifecycle, settlement
from domain.claims import Allocation, Claim, CreditState, Entry, Event, Outcome, Status, next_timer
from domain.deadlines import Deadline, grace_ends_at, reminders, resolve
from domain.evidence import EvidenceKind, Requirement
from domain.lifecycle import Change, Triaged
from domain.messages import FileAsException, RecordDecision, RecordFiling, Withdraw
from domain.money import Money
from domain.policy import Category, Commerce
from domain.roles import Actor
from domain.tickets import Ticket, TicketLookup, TicketNote, TicketStatus, fingerprint
from domain.triage import Route, Triage
from tests.simulated import Simulator, azure_plan
from tests.workflows.desk import ANA, FORM, Desk, Handle, mail, new_claim

HASH = "9" * 64
LONG_AGO = timedelta(days=100)
KINDS = (EvidenceKind.CREDIT_REQUEST_FORM, EvidenceKind.CUSTOMER_REQUEST)
QUESTION = "Which users?"
OFFERS = ("CFQ7TTC0LH18:0001:CFQ7TTC0K971", "796B6B5F-613C-4E24-A17C-EBA730D49C02")
"""Of new commerce, and of a legacy licence: the id tells which."""

UNKNOWN = "623456789012345"


def bought(simulator: Simulator, *, days_ago: int = 120, customer: str = "contoso", **fields: object) -> str:
    """A subscription of its own for one claim; the name under which `new_claim` knows it."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    name = f"of-test-{uuid4()}"
    body: dict[str, object] = {
        "id": str(uuid4()),
        "customer_id": simulator.seed["customers"][customer]["id"],
        "commerce": "new_commerce",
        "offer_id": OFFERS[fields.get("commerce") == "legacy"],
        "offer_name": "Microsoft 365 Business Basic",
        "creation_date": at.isoformat(),
        "effective_start_date": at.isoformat(),
        "commitment_end_date": (at + timedelta(days=365)).isoformat(),
        "order_id": uuid4().hex[:12],
        "currency": "EUR",
    }
    simulator.post("/subscriptions", body | fields)
    simulator.seed["subscriptions"][name] = body | fields
    return name


def path_of(claim: Claim) -> str:
    """Where Partner Center answers for the claim's subscription, and only for it."""
    return f"/v1/customers/{claim.opening.customer_id}/subscriptions/{claim.opening.subscription_id}"


def unreachable(simulator: Simulator, path: str) -> None:
    """From now on Microsoft fails there, until the faults are cleared."""
    simulator.post("/faults", {"kind": "error", "path": path, "times": None})


def shown(simulator: Simulator, number: str) -> Ticket:
    """A ticket as Microsoft shows it now."""
    said: dict[str, Any] = simulator.door.get(f"/service-requests/{number}").json()
    modified = datetime.fromisoformat(said["last_modified_date"])
    status = TicketStatus(said["status"])
    notes = [
        TicketNote(
            text=note["text"],
            created_at=datetime.fromisoformat(note["created_date"]),
            author=note["created_by_name"],
        )
        for note in said["notes"]
    ]
    return Ticket(
        number=number,
        title=said["title"],
        status=status,
        customer_id=said["customer_id"].lower(),
        created_at=datetime.fromisoformat(said["created_date"]),
        modified_at=modified,
        last_note=notes[-1] if notes else None,
        fingerprint=fingerprint(status, modified),
    )


def found(
    claim: Claim, route: Route = Route.SERVICE_REQUEST, *, now: datetime, window_shuts_at: datetime | None = None
) -> Triaged:
    """What triage finds for the claim."""
    said = claim.opening
    deadline: Deadline = resolve(said.category, Commerce.NEW_COMMERCE, said.incident.date)
    credit = CreditState()
    if route is Route.REFUNDED_IN_FULL:
        credit = CreditState(expected=(Decimal("48.00"),), currency="EUR", since=said.incident.date)
    return Triaged(
        triage=Triage(
            route=route, rule="a_rule", explanation="A reason.", source="S0", window_shuts_at=window_shuts_at
        ),
        commerce=Commerce.NEW_COMMERCE,
        product="Microsoft 365 Business Basic",
        deadline=deadline,
        grace_ends_at=grace_ends_at(max(deadline.due_at, now), ()),
        reminders=reminders(deadline.instants, ZoneInfo("UTC"), (), now),
        requirements=tuple(Requirement(kind=kind, required=True, source="S0") for kind in KINDS),
        credit=credit,
    )


async def line_of(desk: Desk, claim: Claim, invoice: str) -> str:
    """The id on record of the line that an invoice read so far has for the claim's subscription."""
    lines = await desk.credits.lines(claim.opening.customer_id, claim.opening.subscription_id)
    (found,) = [line.id for line in lines if line.invoice_id == invoice]
    return found


class Story:
    """A claim on its way, every step of it on record as its workflow would have recorded it."""

    def __init__(self, desk: Desk, claim: Claim) -> None:
        self.desk = desk
        self.claim = claim
        self.steps: list[tuple[Claim, Entry]] = []

    @classmethod
    def of(cls, desk: Desk, subscription: str | None = None, *, late: bool = False, **more: Any) -> "Story":
        """A claim that was just opened; `late` is one about an incident whose deadline has passed."""
        name = subscription or bought(desk.simulator)
        incident = (datetime.now(UTC) - LONG_AGO).date() if late else None
        story = cls(desk, new_claim(desk.simulator, name, incident=incident, **more))
        return story.do(lifecycle.opened(story.claim), ANA)

    def do(self, change: Change | None, actor: Actor | None = None, at: datetime | None = None) -> "Story":
        assert change is not None
        self.claim, entry = lifecycle.apply(self.claim, change, at or datetime.now(UTC), actor)
        self.steps.append((self.claim, entry))
        return self

    def triage(self, route: Route = Route.SERVICE_REQUEST, window_shuts_at: datetime | None = None) -> "Story":
        now = datetime.now(UTC)
        return self.do(
            lifecycle.triaged(self.claim, found(self.claim, route, now=now, window_shuts_at=window_shuts_at))
        )

    async def attach(self, *kinds: EvidenceKind) -> "Story":
        for kind in kinds or KINDS:
            content = FORM + uuid4().bytes if kind is EvidenceKind.CREDIT_REQUEST_FORM else mail("contoso.example")
            document = await self.desk.document(self.claim, kind, content)
            self.do(lifecycle.attached(self.claim, document), ANA)
        return self

    def pass_time(self) -> "Story":
        """The next timer fires, now."""
        timer = next_timer(self.claim)
        assert timer is not None
        return self.do(lifecycle.timed(self.claim, timer))

    def ticket(self, *, asks: bool = False, created: datetime | None = None) -> str:
        """A ticket of the claim's customer, made in time."""
        deadline = self.claim.deadline
        at = created or min(datetime.now(UTC), deadline.due_at if deadline else datetime.max.replace(tzinfo=UTC))
        number = self.desk.ticket(self.claim, created_date=(at - timedelta(hours=2)).isoformat())
        if asks:
            self.microsoft(number, "attention_needed", QUESTION)
        return number

    def microsoft(self, number: str, status: str, note: str | None = None) -> None:
        """Microsoft does something to the ticket."""
        self.desk.simulator.post(f"/service-requests/{number}/status", {"status": status, "note": note})

    def file(self, number: str | None = None, *, visible: bool = True) -> "Story":
        number = number or self.ticket()
        seen = shown(self.desk.simulator, number) if visible else None
        command = RecordFiling(actor=ANA, request_hash=HASH, ticket_number=number)
        change = lifecycle.filed(self.claim, command, TicketLookup(ticket=seen), datetime.now(UTC))
        return self.do(change, ANA)

    def ask(self) -> "Story":
        """Microsoft asks on the ticket, and the sweep saw it."""
        assert self.claim.filing
        number = self.claim.filing.number
        self.microsoft(number, "attention_needed", QUESTION)
        seen = TicketLookup(ticket=shown(self.desk.simulator, number))
        return self.do(lifecycle.ticket_seen(self.claim, seen, datetime.now(UTC)))

    def decide(self, outcome: Outcome = Outcome.APPROVED, amount: str | None = "48.00") -> "Story":
        money = Money(amount=amount, currency=self.currency) if amount else None
        command = RecordDecision(actor=ANA, request_hash=HASH, outcome=outcome, amount=money, reason="Their mail.")
        return self.do(settlement.decided(self.claim, command, datetime.now(UTC)), ANA)

    @property
    def currency(self) -> str:
        return self.claim.opening.amount_asked.currency if self.claim.opening.amount_asked else "EUR"

    async def allocate(self, amount: str) -> "Story":
        """A person gave the claim so much of a line of its own invoice."""
        invoice = self.desk.invoice(self.claim, f"-{amount}", charge_type="customerCredit", currency=self.currency)
        await self.desk.sweep("CreditSweep")
        given: Allocation = await self.desk.credits.allocate(
            self.claim.id,
            await line_of(self.desk, self.claim, invoice),
            Decimal(amount),
            allocation_id=f"alloc-{uuid4().hex[:16]}",
            by_hand=True,
            at=datetime.now(UTC),
        )
        return self.do(settlement.allocated(self.claim, given), ANA)

    async def record(self) -> Claim:
        """Put the story on record."""
        for claim, entry in self.steps:
            await self.desk.records.record(claim, entry)
        self.steps = []
        return self.claim

    async def carry_on(self) -> Handle:
        """The claim's workflow, from where the story is."""
        return await self.desk.start(await self.record())


async def azure_ready(desk: Desk, status: Status = Status.READY_TO_FILE, **changed: object) -> Story:
    """A claim whose ticket claimdesk is to file, with an Azure subscription of its own; overdue as an exception."""
    plan, subscription = azure_plan(desk.simulator)
    story = Story.of(desk, plan, late=status is Status.OVERDUE)
    now = datetime.now(UTC)
    triaged = found(story.claim, Route.AZURE_TICKET, now=now)
    story.do(lifecycle.triaged(story.claim, triaged.model_copy(update={"azure_subscription_id": subscription})))
    await story.attach()
    if status is Status.OVERDUE:
        story.pass_time()
        command = FileAsException(actor=ANA, request_hash=HASH, reason="Promised by phone.")
        story.do(lifecycle.excepted(story.claim, command), ANA)
    story.claim = story.claim.model_copy(update=changed)
    return story


def azure_path(claim: Claim) -> str:
    """Where Azure answers for the claim's subscription, and only for it."""
    return f"/subscriptions/{claim.azure_subscription_id}/"


async def reach(desk: Desk, status: Status, subscription: str | None = None, **more: Any) -> Story:
    """A claim in this status."""
    late = status in {Status.OVERDUE, Status.EXPIRED}
    if status in {Status.CANCEL_NOW, Status.NOT_CLAIMABLE}:
        more["category"] = Category.CANCELLATION
    story = Story.of(desk, subscription, late=late, **more)
    match status:
        case Status.TRIAGING:
            return story
        case Status.CANCEL_NOW:
            return story.triage(Route.CANCEL_NOW, datetime.now(UTC) + timedelta(days=3))
        case Status.NOT_CLAIMABLE:
            return story.triage(Route.NOT_CLAIMABLE)
        case Status.WITHDRAWN:
            return story.do(lifecycle.withdrawn(story.claim, Withdraw(actor=ANA, request_hash=HASH, reason="No.")), ANA)
        case Status.COLLECTING_EVIDENCE:
            return story.triage()
    await story.triage().attach()
    if status is Status.READY_TO_FILE:
        return story
    if late:
        story.pass_time()
        return story if status is Status.OVERDUE else story.pass_time()
    story.file()
    match status:
        case Status.NEEDS_INFORMATION:
            return story.ask()
        case Status.AWAITING_CREDIT:
            return story.decide()
        case Status.DENIED:
            return story.decide(Outcome.DENIED, None)
        case Status.CREDITED:
            return await story.decide().allocate("48.00")
    assert story.claim.status is Status.FILED is status
    assert story.steps[-1][1].event is Event.RECORD_FILING
    return story
