"""The tour: one claim for each route and outcome, all at once. Each is told in the order in which it would happen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import uuid4

import httpx
from pydantic import ValidationError

from domain.claims import Outcome, Status
from domain.evidence import EvidenceKind
from domain.policy import Category
from domain.triage import Route
from starter.case import Case
from starter.parts import Seed
from starter.visitors import Microsoft, Person, Unexpected

PATIENCE = 90.0
"""Seconds that one claim has for its whole way."""

PEOPLE = ("ana@partner.example", "hana@partner.example", "finn@partner.example", "carl@contoso.example")


@dataclass(frozen=True)
class Story:
    """What happens to one claim, and where it has to end."""

    what: str
    route: Route
    status: Status
    tell: Callable[[Case], Awaitable[None]]


@dataclass(frozen=True)
class Told:
    """What came of a story. `problem` says what went wrong, where something did."""

    story: Story
    claim_id: str
    route: Route | None
    status: Status | None
    temporal_ui: str
    problem: str | None

    @property
    def ok(self) -> bool:
        """The claim took the route and reached the status that the story expects."""
        return self.problem is None and (self.route, self.status) == (self.story.route, self.story.status)


async def take_tour(api_url: str, simulator_url: str, seed: Seed, told: Callable[[Told], None]) -> list[Told]:
    """Tell every story, several at a time; `told` hears of each as it ends. Never raises for what a claim does."""
    tour = uuid4().hex[:6].upper()
    async with Microsoft(simulator_url, seed) as microsoft, _at_the_desk(microsoft, api_url) as people:

        async def tell(number: int, story: Story) -> Told:
            case = Case(microsoft, people, f"EX{tour}{number:02}")
            problem = await _told(case, story)
            result = Told(
                story=story,
                claim_id=case.claim.id if case.claim else "",
                route=case.claim.route if case.claim else None,
                status=case.claim.status if case.claim else None,
                temporal_ui=(case.claim.links.temporal_ui or "") if case.claim else "",
                problem=problem,
            )
            told(result)
            return result

        return await asyncio.gather(*(tell(number, story) for number, story in enumerate(STORIES, 1)))


async def _told(case: Case, story: Story) -> str | None:
    try:
        async with asyncio.timeout(PATIENCE):
            await story.tell(case)
            await case.until(lambda claim: claim.status is story.status)
            # Who opened it may not see where its run is; Ana may.
            case.claim = await case.ana.reads(case.now.id)
    except TimeoutError:
        return (
            f"not {story.status} within {PATIENCE:.0f} seconds: {case.claim.next_step if case.claim else 'not opened'}"
        )
    except (Unexpected, httpx.HTTPError, ValidationError) as error:
        return f"{type(error).__name__}: {error}" if not isinstance(error, Unexpected) else str(error)
    return None


@asynccontextmanager
async def _at_the_desk(microsoft: Microsoft, api_url: str) -> AsyncIterator[dict[str, Person]]:
    people = {user: Person(user, api_url, await microsoft.token(user)) for user in PEOPLE}
    try:
        yield people
    finally:
        for person in people.values():
            await person.aclose()


async def _outage(case: Case) -> None:
    await case.opened(
        "fabrikam_nce_active_past_window",
        Category.SERVICE_OUTAGE,
        "Nobody could sign in for four hours.",
        asked="528.00",
    )
    await case.collected()
    await case.filed("approve", "528.00")
    await case.decided(Outcome.APPROVED)


async def _question(case: Case) -> None:
    await case.opened(
        "nce_active_past_window", Category.TECHNICAL_ISSUE, "Mail arrived a day late for everybody.", asked="60.00"
    )
    await case.collected()
    await case.filed("ask_for_more", "60.00")
    await case.asked_back()
    text = "All 10 users; mail was on time again on the second day, at 07:40 UTC."
    case.claim = await case.hana.does(case.now.id, "replies", text=text)
    await case.decided(Outcome.APPROVED)


async def _half(case: Case) -> None:
    await case.opened(
        "nce_monthly_past_window", Category.INCORRECT_INFORMATION, "The price list named another price.", asked="176.00"
    )
    await case.collected()
    await case.filed("half_credit", "176.00")
    await case.decided(Outcome.APPROVED_IN_PART, "88.00")


async def _denied(case: Case) -> None:
    await case.opened("legacy_monthly_active", Category.TECHNICAL_ISSUE, "Search was slow.", asked="48.00")
    await case.collected()
    await case.filed("deny", "48.00")
    await case.decided(Outcome.DENIED)


async def _azure(case: Case) -> None:
    [subscription, *_] = case.microsoft.seed.subscriptions["azure_plan"].azure_subscriptions
    persona = {"of": subscription, "persona": "approve", "amount": "310.00"}
    await case.microsoft.happens("azure-tickets/persona", persona)
    await case.opened(
        "azure_plan",
        Category.SERVICE_OUTAGE,
        "Virtual machines in West Europe were unreachable.",
        by=case.ana,
        asked="310.00",
    )
    await case.collected()
    # Nobody goes to a portal: claimdesk files the ticket with its documents, and follows it.
    await case.decided(Outcome.APPROVED)


async def _azure_by_hand(case: Case) -> None:
    one = case.microsoft.seed.subscriptions["northwind_azure_plan"]
    [subscription, *_] = one.azure_subscriptions
    await case.microsoft.happens("azure-tickets/access", {"of": subscription, "plan_is_too_low": True})
    await case.opened(
        "northwind_azure_plan", Category.TECHNICAL_ISSUE, "A database was billed twice.", by=case.ana, asked="75.00"
    )
    await case.collected()
    await case.until(lambda claim: claim.assisted_reason is not None)
    number = await case.microsoft.file_azure_ticket({"customer_id": one.customer_id, "subscription_id": subscription})
    case.claim = await case.ana.does(case.now.id, "filing", ticket_number=number)


async def _in_full(case: Case) -> None:
    now = datetime.now(UTC)
    bought = now - timedelta(days=12)
    key = await case.bought(bought, customer="contoso", legacy=True, price="48.00", quantity=4, days=365)
    await _suspended(case, key, now)
    customer = case.microsoft.seed.customers["contoso"].id
    await case.opened(
        (customer, key), Category.CANCELLATION, "The project was called off.", on=now.date(), asked="192.00"
    )


async def _pro_rata(case: Case) -> None:
    # Microsoft's own example: 48.00 a year, stopped with 318 days to go, gives 41.34 back.
    now = datetime.now(UTC)
    bought = now - timedelta(days=365 - 318)
    key = await case.bought(bought, customer="adatum", legacy=True, price="48.00", quantity=1, days=365)
    await _suspended(case, key, now)
    customer = case.microsoft.seed.customers["adatum"].id
    await case.opened((customer, key), Category.CANCELLATION, "The employee left.", on=now.date(), asked="41.34")


async def _suspended(case: Case, key: str, at: datetime) -> None:
    await case.microsoft.happens(f"subscriptions/{key}/status", {"status": "suspended", "at": at.isoformat()})


async def _by_mistake(case: Case) -> str:
    # 4.00 for 30 days, cancelled on the first: 29 days are left, and Microsoft's own example gives 3.87 back.
    bought = datetime.now(UTC) - timedelta(hours=1)
    key = await case.bought(bought, customer="northwind", legacy=False, price="4.00", quantity=1, days=30)
    customer = case.microsoft.seed.customers["northwind"].id
    await case.opened(
        (customer, key), Category.ACCIDENTAL_PURCHASE, "Bought by mistake.", on=bought.date(), asked="3.87"
    )
    return key


async def _cancelled(case: Case) -> None:
    key = await _by_mistake(case)
    # On the day of the purchase, even where midnight has passed since.
    at = min(datetime.combine(case.now.opening.incident.date, time.max, UTC), datetime.now(UTC))
    await case.microsoft.happens(f"subscriptions/{key}/status", {"status": "deleted", "at": at.isoformat()})
    case.claim = await case.hana.does(case.now.id, "check")


async def _cancellable(case: Case) -> None:
    await _by_mistake(case)


async def _too_late(case: Case) -> None:
    await case.opened("nce_no_window", Category.ACCIDENTAL_PURCHASE, "The wrong plan was bought.")


async def _exception(case: Case) -> None:
    await case.opened("fabrikam_nce_active_past_window", Category.ACCIDENTAL_PURCHASE, "The portal sold twice as many.")
    await case.until(lambda claim: claim.status is Status.NOT_CLAIMABLE)
    reason = "The portal showed an error and charged all the same; Microsoft's support advised to ask."
    case.claim = await case.ana.does(case.now.id, "exception", reason=reason)
    await case.until(lambda claim: claim.status is Status.COLLECTING_EVIDENCE)
    await case.collected()


async def _withdrawn(case: Case) -> None:
    await case.opened("legacy_active_recent", Category.TECHNICAL_ISSUE, "A setting was lost.")
    case.claim = await case.hana.does(case.now.id, "withdrawal", reason="It was the customer's own change.")


async def _handed_over(case: Case) -> None:
    await case.opened(
        "legacy_active", Category.TECHNICAL_ISSUE, "The mailboxes were empty all day.", by=case.carl, asked="12.40"
    )
    await case.attached(EvidenceKind.CUSTOMER_REQUEST, by=case.carl)
    case.claim = await case.ana.does(case.now.id, "assignee", assignee="Ana Admin")
    await case.collected()
    # No amount at the portal: Microsoft approves, and no credit comes yet.
    await case.filed("approve")
    await case.decided(Outcome.APPROVED)


async def _collecting(case: Case) -> None:
    await case.opened("nce_suspended", Category.SERVICE_OUTAGE, "Shared files were gone for a morning.", asked="17.00")
    for kind in (EvidenceKind.CREDIT_REQUEST_FORM, EvidenceKind.OUTAGE_EVIDENCE):
        await case.attached(kind)


async def _silence(case: Case) -> None:
    await case.opened("nce_many_seats_cancellable", Category.TECHNICAL_ISSUE, "Calls dropped.", asked="130.00")
    await case.collected()
    await case.filed("silence", "130.00")


async def _unanswered(case: Case) -> None:
    await case.opened("nce_expired", Category.TECHNICAL_ISSUE, "The licences came two days late.", asked="9.00")
    await case.collected()
    await case.filed("ask_for_more", "9.00")


STORIES = (
    Story("An outage: filed, approved, on the invoice", Route.SERVICE_REQUEST, Status.CREDITED, _outage),
    Story("Microsoft asks, we reply, it approves", Route.SERVICE_REQUEST, Status.CREDITED, _question),
    Story("Approved in part: half of it comes", Route.SERVICE_REQUEST, Status.CREDITED, _half),
    Story("Microsoft denies it", Route.SERVICE_REQUEST, Status.DENIED, _denied),
    Story("Azure: filed by claimdesk, on the invoice", Route.AZURE_TICKET, Status.CREDITED, _azure),
    Story("Azure: the support plan is too low, by hand", Route.AZURE_TICKET, Status.FILED, _azure_by_hand),
    Story("Stopped within 30 days: all comes back", Route.REFUNDED_IN_FULL, Status.CREDITED, _in_full),
    Story("Stopped in month 2: the rest comes back", Route.CREDITED_PRO_RATA, Status.CREDITED, _pro_rata),
    Story("Cancelled in the window, checked again", Route.CREDITED_PRO_RATA, Status.CREDITED, _cancelled),
    Story("Can be cancelled: the window is open", Route.CANCEL_NOW, Status.CANCEL_NOW, _cancellable),
    Story("No rule grants it", Route.NOT_CLAIMABLE, Status.NOT_CLAIMABLE, _too_late),
    Story("No rule grants it: an exception is ready", Route.SERVICE_REQUEST, Status.READY_TO_FILE, _exception),
    Story("Withdrawn", Route.SERVICE_REQUEST, Status.WITHDRAWN, _withdrawn),
    Story("Raised by the customer, filed by us", Route.SERVICE_REQUEST, Status.AWAITING_CREDIT, _handed_over),
    Story("The customer's request is missing", Route.SERVICE_REQUEST, Status.COLLECTING_EVIDENCE, _collecting),
    Story("Filed, and Microsoft is silent", Route.SERVICE_REQUEST, Status.FILED, _silence),
    Story("Microsoft waits for our answer", Route.SERVICE_REQUEST, Status.NEEDS_INFORMATION, _unanswered),
)
