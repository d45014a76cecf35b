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
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.azure_tickets import AzureTickets, FileAzureTicket, Filer
from domain import lifecycle
from domain.claims import Claim, Contact
from microsoft.errors import MicrosoftError, NotFound, Rejected
from microsoft.identity import Identity
from microsoft.reservation_models import Reservation, Returned, returned
from microsoft.reservation_requests import Purchase
from microsoft.reservations import Reservations, exchange_url
from microsoft.support import Support
from microsoft.support_models import LARGEST_CHUNK
from microsoft.transport import AZURE_IDS, Transport
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
    changes = {
        "id": f"claim-{uuid4().hex[:20]}",
        "opening": claim.opening.model_copy(update=said),
        "azure_subscription_id": subscription,
        "documents": tuple(documents),
    }
    claim = claim.model_copy(update=changes)
    now = datetime.now(UTC)
    return lifecycle.apply(claim, lifecycle.sent(claim, now), now)[0]


@cases(TICKET)
async def test_a_ticket_is_filed_once_with_every_document(
    simulator: Simulator, azure_clients: Azure, blobs: Blobs, step: Step, fault: str
) -> None:
    claim = await claim_to_file(simulator, blobs, LARGE if step.name == "second chunk" else FORM)
    wanted = FileAzureTicket(claim=claim, workspace="files-1", send_before=None)
    broken, whole = (
        AzureTickets(Support(*at), blobs, FILER) for at in (azure_clients.broken(fault), azure_clients.patient)
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
    """What a workflow has in its history before it sends anything, so that a rerun knows it too."""

    tenant: str
    order_id: str
    reservation_id: str
    session: str = ""
    before: Reservation | None = None
    members: frozenset[str] = frozenset()


def reservation(simulator: Simulator) -> Known:
    """A reservation of three, the only one of its customer."""
    customer = str(uuid4())
    simulator.post("/customers", {"id": customer, "companyName": "Lucerne", "domain": "lucerne.example"})
    made = simulator.post("/reservations", {"customer_id": customer, "quantity": 3})
    return Known(customer, str(made["order_id"]), str(made["id"]))


def happened(simulator: Simulator, known: Known, what: str) -> int:
    """How often that really happened to the customer's reservations."""
    answer = simulator.door.get("/reservation-effects", params={"customer_id": known.tenant}).json()
    count: int = answer["counts"].get(what, 0)
    return count


async def given_back(at: Reservations, known: Known) -> Returned | None:
    """Returns one of three: looks whether it was done, sends once, looks again. Nothing makes a return repeatable."""
    if not known.session:
        quote = await at.refund_quote(known.tenant, known.order_id, known.reservation_id, 1)
        known.session = quote.session_id
    order, members = await at.order(known.tenant, known.order_id), await at.of_order(known.tenant, known.order_id)
    if known.before is None:
        [known.before] = members
        known.members = frozenset(each.reservation_id for each in members)
    done = returned(known.before, 1, known.members, order, members)
    if done is None:
        await at.give_back(known.tenant, known.order_id, known.reservation_id, 1, known.session, "Bought by mistake")
        order, members = await at.order(known.tenant, known.order_id), await at.of_order(known.tenant, known.order_id)
        done = returned(known.before, 1, known.members, order, members)
    return done


@cases(RETURN)
async def test_a_reservation_is_returned_once(
    simulator: Simulator, azure_clients: Azure, step: Step, fault: str
) -> None:
    known = reservation(simulator)
    await is_broken(simulator, given_back(Reservations(*azure_clients.broken(fault)), known), step, fault)
    assert happened(simulator, known, "return") <= 1
    at = Reservations(*azure_clients.patient)
    done = await given_back(at, known)
    assert happened(simulator, known, "return") == 1
    assert done is not None
    kept = await at.reservation(known.tenant, known.order_id, done.successor)
    assert kept.quantity == 2


async def test_a_return_that_cannot_be_seen_yet_is_not_made_twice(simulator: Simulator, azure_clients: Azure) -> None:
    known, at = reservation(simulator), Reservations(*azure_clients.patient)
    simulator.door.put("/behaviour", json={"time_scale": 0.03}).raise_for_status()
    try:
        step = next(step for step in RETURN if step.is_write)
        await is_broken(simulator, given_back(at, known), step, "dropped after the work")
        done, looks = None, 0
        while done is None and looks < 100:
            looks += 1
            with suppress(Rejected):  # Microsoft refuses a session that was used
                done = await given_back(at, known)
            await asyncio.sleep(0.05)
    finally:
        simulator.door.put("/behaviour", json={"time_scale": 0}).raise_for_status()
    assert done is not None
    assert happened(simulator, known, "return") == 1


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


async def exchanged(at: Reservations, known: Known) -> str:
    """Exchanges the three: looks for the exchange by its session, sends it where there is none, and polls it."""
    if not known.session:
        quote = await at.exchange_quote(known.tenant, [(known.order_id, known.reservation_id, 3)], [PURCHASE])
        while not quote.is_over:
            quote = await at.look_at_quote(known.tenant, quote.url)
        assert quote.exchange is not None
        known.session = quote.exchange.session_id
    url = exchange_url(known.session)
    try:
        state = await at.look_at_exchange(known.tenant, url)
    except NotFound:
        await at.exchange(known.tenant, known.session)
        state = await at.look_at_exchange(known.tenant, url)
    while not state.is_over:
        state = await at.look_at_exchange(known.tenant, url)
    return state.status


@cases(EXCHANGE)
async def test_reservations_are_exchanged_once(
    simulator: Simulator, azure_clients: Azure, step: Step, fault: str
) -> None:
    known = reservation(simulator)
    await is_broken(simulator, exchanged(Reservations(*azure_clients.broken(fault)), known), step, fault)
    at = Reservations(*azure_clients.patient)
    assert await exchanged(at, known) == "succeeded"
    assert happened(simulator, known, "exchange") == 1
    old = await at.reservation(known.tenant, known.order_id, known.reservation_id)
    assert old.state == "cancelled"
