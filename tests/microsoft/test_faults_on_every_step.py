"""Each fault at each step of filing a ticket with its documents, of a return and of an exchange: what the client makes
of it, and that the same work done once more leaves one ticket with every document, one return, one exchange.

| fault | a read, or a question that changes nothing | a write |
|---|---|---|
| throttled for longer than is waited out here | Throttled | Throttled |
| 5xx, before or after the work | Unavailable, after three attempts | Ambiguous |
| no answer in time, before or after the work | Unavailable, after three attempts | Ambiguous |
| connection lost without a byte, before or after the work | Unavailable, after three attempts | Ambiguous |
| connection lost in the status line, the head or the body | Unavailable, after three attempts | Ambiguous |
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.azure_tickets import AzureTickets, FileAzureTicket, Filer
from domain import lifecycle
from domain.claims import Claim, Contact
from microsoft.errors import MicrosoftError, NotFound
from microsoft.identity import Identity
from microsoft.reservation_models import LAG, Returned, Seen, fate
from microsoft.reservation_quotes import ExchangeState
from microsoft.reservation_requests import Purchase
from microsoft.reservations import Reservations, exchange_url
from microsoft.support import Support
from microsoft.support_models import LARGEST_CHUNK
from microsoft.transport import AZURE_IDS, Transport
from records.claims import ClaimRecords
from records.database import engine, migrate
from runtime.blobs import Blobs
from tests.domain.samples import azure
from tests.microsoft.steps_and_faults import EXCHANGE, RETURN, TICKET, TIMEOUT, Step, cases
from tests.simulated import Simulator, azure_plan, azure_tickets


@dataclass(frozen=True)
class Azure:
    """Clients of Azure that wait as long as one should, and some that don't wait for what comes late."""

    patient: tuple[Transport, Identity]
    hasty: tuple[Transport, Identity]

    def broken(self, fault: str) -> tuple[Transport, Identity]:
        return self.hasty if fault.startswith("late") else self.patient


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def azure_clients(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Azure]:
    """For the whole module, with one identity."""
    simulator.door.delete("/faults")
    (file := tmp_path_factory.mktemp("identity") / "refresh-token").write_text(simulator.seed["refresh_token"])
    patient = Transport(simulator.url, backoff=0.0, ids=AZURE_IDS)
    hasty = Transport(simulator.url, backoff=0.0, ids=AZURE_IDS, timeout=TIMEOUT)
    identity = Identity(
        patient,
        tenant=simulator.seed["tenant"],
        client_id=simulator.seed["client_id"],
        client_secret=SecretStr(simulator.seed["client_secret"]),
        refresh_token_file=file,
    )
    yield Azure((patient, identity), (hasty, identity))
    await patient.aclose()
    await hasty.aclose()


async def is_broken(simulator: Simulator, work: Awaitable[object], step: Step, fault: str) -> None:
    """Lets the fault happen and expects the exception of the table, from the client or as an activity's cause."""
    step.set(simulator, fault)
    with pytest.raises((MicrosoftError, ApplicationError)) as caught:
        await work
    simulator.door.delete("/faults")
    error = caught.value.__cause__ if isinstance(caught.value, ApplicationError) else caught.value
    assert type(error) is step.expected(fault)
    assert isinstance(error, MicrosoftError)
    assert error.correlation_id in str(caught.value)


@pytest.fixture(scope="module")
async def blobs(tmp_path_factory: pytest.TempPathFactory) -> Blobs:
    return Blobs(f"file://{tmp_path_factory.mktemp('blobs')}")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def records(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClaimRecords]:
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('records')}/claims.db"
    migrate(url)
    database = engine(url)
    yield ClaimRecords(database)
    await database.dispose()


FILER = Filer(partner_name="Partner", contact=None, time_zone="UTC", country="USA", language="en-us")
FORM, LARGE = b"%PDF-1.7\n%%EOF\n", bytes(LARGEST_CHUNK + 1)


async def claim_to_file(simulator: Simulator, blobs: Blobs, form: bytes) -> Claim:
    """A claim with two documents whose ticket is about to be filed, on an Azure subscription of its own."""

    async def stored(content: bytes) -> AsyncIterator[bytes]:
        yield content

    plan, subscription = azure_plan(simulator)
    claim = azure()
    said = {
        "customer_id": simulator.seed["customers"]["contoso"]["id"],
        "subscription_id": plan,
        "contact": Contact(name="Ana Admin", email="ana@partner.example"),
    }
    kept = [await blobs.put(stored(content), 10_000_000) for content in (form, FORM)]
    documents = [
        each.model_copy(update={"sha256": blob.sha256, "size": blob.size})
        for each, blob in zip(claim.documents, kept, strict=True)
    ]
    assert claim.deadline is not None
    changes: dict[str, object] = {
        "id": f"claim-{uuid4().hex[:20]}",
        "deadline": claim.deadline.model_copy(update={"due_at": datetime.now(UTC) + timedelta(days=30)}),
        "opening": claim.opening.model_copy(update=said),
        "azure_subscription_id": subscription,
        "documents": tuple(documents),
    }
    claim = claim.model_copy(update=changes)
    now = datetime.now(UTC)
    return lifecycle.apply(claim, lifecycle.sent(claim, now), now)[0]


@cases(TICKET)
async def test_a_ticket_is_filed_once_with_every_document(
    simulator: Simulator, azure_clients: Azure, blobs: Blobs, records: ClaimRecords, step: Step, fault: str
) -> None:
    claim = await claim_to_file(simulator, blobs, LARGE if step.name == "second chunk" else FORM)
    wanted = FileAzureTicket(claim=claim, workspace="files-1")
    broken, whole = (
        AzureTickets(Support(*at), blobs, records, FILER) for at in (azure_clients.broken(fault), azure_clients.patient)
    )
    await is_broken(simulator, ActivityEnvironment().run(broken.file, wanted), step, fault)
    filed = await ActivityEnvironment().run(whole.file, wanted)
    assert claim.azure_subscription_id is not None
    [made] = azure_tickets(simulator, claim.azure_subscription_id)
    assert filed.ticket is not None
    assert filed.ticket.number == made["ticket"]["number"]
    assert {each["sha256"] for each in made["files"]} == {each.sha256 for each in claim.documents}
    assert len(made["files"]) == 2


@dataclass
class Known:
    """What a workflow has in its history before it sends anything, so that a rerun knows it too. `sent` is when it
    noted that it would send."""

    tenant: str
    order_id: str
    reservation_id: str
    session: str = ""
    before: Seen | None = None
    sent: float | None = None

    def passed(self) -> timedelta:
        assert self.sent is not None
        return timedelta(seconds=time.monotonic() - self.sent)


def reservation(simulator: Simulator) -> Known:
    """A reservation of three, the only one of its customer, at a Microsoft that does everything as often as it is
    sent: whether it would refuse a session that was used isn't known."""
    customer = str(uuid4())
    simulator.post("/customers", {"id": customer, "companyName": "Lucerne", "domain": "lucerne.example"})
    traits = {"reuses_sessions": True, "exchanges_late": True}
    made = simulator.post("/reservations", {"customer_id": customer, "quantity": 3, **traits})
    return Known(customer, str(made["order_id"]), str(made["id"]))


def happened(simulator: Simulator, known: Known, what: str) -> int:
    """How often that really happened to the customer's reservations."""
    answer = simulator.door.get("/reservation-effects", params={"customer_id": known.tenant}).json()
    count: int = answer["counts"].get(what, 0)
    return count


def lag_after(fault: str) -> timedelta:
    """Until what was accepted is seen: at once here, but for a request that the simulator itself gets late."""
    return timedelta(seconds=6 * TIMEOUT if fault.startswith("late") else 0)


async def decided(at: Reservations, known: Known, lag: timedelta) -> Returned | Literal["not done", "undecided"]:
    """Looks until the fate of the return is known."""
    assert known.before is not None
    while True:
        passed = known.passed()
        now = await at.seen(known.tenant, known.order_id)
        found = fate(known.reservation_id, 1, known.before, now, passed, lag)
        if found != "open":
            return found
        await asyncio.sleep(0.05)


async def given_back(
    at: Reservations, known: Known, lag: timedelta = LAG
) -> Returned | Literal["not done", "undecided"]:
    """Returns one of three: notes what is true and that it sends, sends, and looks. A rerun looks first."""
    if not known.session:
        quote = await at.refund_quote(known.tenant, known.order_id, known.reservation_id, 1)
        known.session = quote.session_id
    if known.before is None:
        known.before = await at.seen(known.tenant, known.order_id)
    found = "not done" if known.sent is None else await decided(at, known, lag)
    if found != "not done":
        return found
    known.sent = time.monotonic()
    await at.give_back(known.tenant, known.order_id, known.reservation_id, 1, known.session, "Bought by mistake")
    return await decided(at, known, lag)


@cases(RETURN)
async def test_a_reservation_is_returned_once(
    simulator: Simulator, azure_clients: Azure, step: Step, fault: str
) -> None:
    known = reservation(simulator)
    await is_broken(simulator, given_back(Reservations(*azure_clients.broken(fault)), known), step, fault)
    assert happened(simulator, known, "return") <= 1
    at = Reservations(*azure_clients.patient)
    done = await given_back(at, known, lag_after(fault))
    assert happened(simulator, known, "return") == 1
    assert isinstance(done, Returned)
    kept = await at.reservation(known.tenant, known.order_id, done.successor)
    assert kept.quantity == 2


@pytest.fixture
def slowly(simulator: Simulator) -> Iterator[timedelta]:
    """Azure's recorded times, a hundred times as fast; gives the lag of that time."""
    simulator.door.put("/behaviour", json={"time_scale": 0.01}).raise_for_status()
    yield LAG * 0.01
    simulator.door.put("/behaviour", json={"time_scale": 0}).raise_for_status()


RETURN_IS_SENT = next(step for step in RETURN if step.is_write)
EXCHANGE_IS_SENT = next(step for step in EXCHANGE if step.is_write)


async def test_a_return_that_cannot_be_seen_yet_is_not_made_twice(
    simulator: Simulator, azure_clients: Azure, slowly: timedelta
) -> None:
    known, at = reservation(simulator), Reservations(*azure_clients.patient)
    await is_broken(simulator, given_back(at, known), RETURN_IS_SENT, "dropped after the work")
    assert isinstance(await given_back(at, known, slowly), Returned)
    assert happened(simulator, known, "return") == 1


@pytest.mark.usefixtures("slowly")
@pytest.mark.parametrize("fault", ["dropped", "throttled"])
async def test_a_return_that_was_not_made_is_sent_again_only_once_the_lag_is_over(
    simulator: Simulator, azure_clients: Azure, fault: str
) -> None:
    """Also where the process died after it had noted that it would send: it knows as little."""
    known, at = reservation(simulator), Reservations(*azure_clients.patient)
    await is_broken(simulator, given_back(at, known), RETURN_IS_SENT, fault)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await given_back(at, known, timedelta(seconds=60))
    assert happened(simulator, known, "return") == 0
    assert isinstance(await given_back(at, known, timedelta(seconds=0.5)), Returned)
    assert happened(simulator, known, "return") == 1


async def test_a_return_that_cannot_be_decided_is_not_sent_again(simulator: Simulator, azure_clients: Azure) -> None:
    """Somebody gave two back at the portal meanwhile."""
    known, at = reservation(simulator), Reservations(*azure_clients.patient)
    await is_broken(simulator, given_back(at, known), RETURN_IS_SENT, "dropped")
    simulator.post(f"/reservations/{known.reservation_id}/return", {"quantity": 2})
    assert await given_back(at, known, timedelta()) == "undecided"
    assert happened(simulator, known, "return") == 0


PURCHASE = Purchase(
    sku="Standard_E64s_v3",
    location="westeurope",
    resource_type="VirtualMachines",
    billing_scope=f"/subscriptions/{uuid4()}",
    term="P1Y",
    billing_plan="Upfront",
    quantity=1,
    name="Instead",
)


async def found(at: Reservations, known: Known, lag: timedelta) -> ExchangeState | None:
    """The exchange, looked for by its session; None once it is sure that it was never accepted."""
    while True:
        passed = None if known.sent is None else known.passed()
        try:
            return await at.look_at_exchange(known.tenant, exchange_url(known.session))
        except NotFound:
            if passed is None or passed >= lag:
                return None
            await asyncio.sleep(0.05)


async def exchanged(at: Reservations, known: Known, lag: timedelta = LAG) -> str:
    """Exchanges the three: looks for the exchange, notes that it sends and sends where there is none, and polls it."""
    if not known.session:
        quote = await at.exchange_quote(known.tenant, [(known.order_id, known.reservation_id, 3)], [PURCHASE])
        while not quote.is_over:
            quote = await at.look_at_quote(known.tenant, quote.url)
        assert quote.exchange is not None
        known.session = quote.exchange.session_id
    state = await found(at, known, lag)
    if state is None:
        known.sent = time.monotonic()
        state = await at.exchange(known.tenant, known.session)
    while not state.is_over:
        state = await at.look_at_exchange(known.tenant, state.url)
    return state.status


@cases(EXCHANGE)
async def test_reservations_are_exchanged_once(
    simulator: Simulator, azure_clients: Azure, step: Step, fault: str
) -> None:
    known = reservation(simulator)
    await is_broken(simulator, exchanged(Reservations(*azure_clients.broken(fault)), known), step, fault)
    at = Reservations(*azure_clients.patient)
    assert await exchanged(at, known, lag_after(fault)) == "succeeded"
    assert happened(simulator, known, "exchange") == 1
    old = await at.reservation(known.tenant, known.order_id, known.reservation_id)
    assert old.state == "cancelled"


async def test_an_exchange_that_cannot_be_found_yet_is_not_made_twice(
    simulator: Simulator, azure_clients: Azure, slowly: timedelta
) -> None:
    known, at = reservation(simulator), Reservations(*azure_clients.patient)
    await is_broken(simulator, exchanged(at, known), EXCHANGE_IS_SENT, "dropped after the work")
    with pytest.raises(NotFound):
        await at.look_at_exchange(known.tenant, exchange_url(known.session))
    assert await found(at, known, slowly) is not None
    simulator.door.put("/behaviour", json={"time_scale": 0}).raise_for_status()
    assert await exchanged(at, known, slowly) == "succeeded"
    assert happened(simulator, known, "exchange") == 1
