"""Our client of Azure support tickets: every operation, on the simulated Microsoft."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest

from microsoft.clients import microsoft
from microsoft.errors import Conflict, ConsentMissing, Forbidden, NotFound, Rejected, SupportPlanTooLow
from microsoft.operations import Operation, wait_for
from microsoft.support import Contact, NewTicket, Place, Support, SupportTicket
from tests.simulated import Simulator, azure_plan, settings_for

LONGEST = timedelta(seconds=10)
CHUNK = 2_621_440
CONTACT = Contact(
    first_name="Ana",
    last_name="Admin",
    email="ana@partner.example",
    time_zone="W. Europe Standard Time",
    country="CHE",
)


@pytest.fixture
async def support(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Support]:
    async with microsoft(settings_for(simulator, tmp_path)) as clients:
        yield clients.support


@pytest.fixture
def place(simulator: Simulator) -> Place:
    """An Azure subscription of its own."""
    return Place(simulator.seed["customers"]["contoso"]["id"], azure_plan(simulator)[1])


async def refund_request(support: Support, place: Place, **more: object) -> NewTicket:
    found = await support.classification(place.tenant, "Billing", "refund", "request")
    new = NewTicket(title="Credit", description="Machines were down.", classification=found, contact=CONTACT)
    return new.model_copy(update=more)


async def over(support: Support, place: Place, operation: Operation | None) -> Operation:
    assert operation is not None
    return await wait_for(operation, lambda: support.look(place, operation.url), longest=LONGEST)


async def filed(support: Support, place: Place, name: str = "claim-1", **more: object) -> SupportTicket:
    await over(support, place, await support.create(place, name, await refund_request(support, place, **more)))
    return await support.ticket(place, name)


async def listed(support: Support, place: Place, since: datetime | None = None) -> list[str]:
    return [each.name async for page in support.tickets(place, since) for each in page]


async def test_a_classification_is_found_by_its_words(support: Support, place: Place) -> None:
    refund = await support.classification(place.tenant, "Billing", "refund", "request")
    exchange = await support.classification(place.tenant, "billing", "reservation management", "Exchange", "refund")
    assert (refund.name, exchange.name) == ("Refund request", "Reservation Management / Exchanges and Refunds")
    assert refund.service_id == exchange.service_id
    assert refund.id.startswith(f"{refund.service_id}/problemClassifications/")


async def test_what_isnt_in_the_catalogue_is_told_with_what_is(support: Support, place: Place) -> None:
    with pytest.raises(NotFound, match="the service Invoices; there is Billing, Subscription management"):
        await support.classification(place.tenant, "Invoices", "refund")
    with pytest.raises(NotFound, match=r"a problem of Billing with refund, lottery; there is Refund request"):
        await support.classification(place.tenant, "Billing", "refund", "lottery")


async def test_a_ticket_with_its_files_from_workspace_to_list(
    simulator: Simulator, support: Support, place: Place
) -> None:
    expires = await support.create_workspace(place, "files-1")
    assert timedelta(hours=23, minutes=59) < expires - datetime.now(UTC) <= timedelta(hours=24)
    whole = bytes(range(256)) * (2 * CHUNK // 256)
    files = {"form – Ünterschrift.pdf": b"%PDF-1.7", "log.txt": b"x" * (CHUNK + 1), "all of it.zip": whole}
    for name, content in files.items():
        await support.upload(place, "files-1", name, content)
    started = datetime(2026, 2, 15, 8, 10, tzinfo=timezone(timedelta(hours=1)))
    ticket = await filed(support, place, severity="moderate", started=started, workspace="files-1")
    assert (ticket.name, ticket.title, ticket.status, ticket.severity) == ("claim-1", "Credit", "open", "moderate")
    assert (ticket.service, ticket.problem, ticket.workspace) == ("Billing", "Refund request", "files-1")
    assert len(ticket.number) == 15
    assert ticket.created is not None
    assert abs(ticket.created - datetime.now(UTC)) < timedelta(minutes=1)
    assert await listed(support, place) == ["claim-1"]
    truth = simulator.door.get(f"/azure-tickets/{ticket.number}").json()
    assert {each["name"]: each["size"] for each in truth["files"]} == {
        name: len(content) for name, content in files.items()
    }
    assert truth["ticket"]["body"]["problem_start_time"] == "2026-02-15T07:10:00Z"
    assert truth["ticket"]["body"]["advanced_diagnostic_consent"] == "no"


async def test_a_ticket_put_again_is_the_same_and_another_under_its_name_conflicts(
    simulator: Simulator, support: Support, place: Place
) -> None:
    new = await refund_request(support, place)
    await over(support, place, await support.create(place, "claim-1", new))
    assert await support.create(place, "claim-1", new) is None
    with pytest.raises(Conflict):
        await support.create(place, "claim-1", new.model_copy(update={"title": "Another"}))
    assert await listed(support, place) == ["claim-1"]


async def test_tickets_are_listed_over_pages_and_from_an_instant_on(
    simulator: Simulator, support: Support, place: Place
) -> None:
    body: dict[str, object] = {"customer_id": place.tenant, "subscription_id": place.subscription}
    for day in range(1, 29):
        for hour in range(4):
            simulator.post("/azure-tickets", {**body, "created_date": f"2026-02-{day:02}T{hour:02}:00:00.5Z"})
    pages = [len(page) async for page in support.tickets(place)]
    assert pages == [100, 12]
    late = datetime(2026, 2, 28, 2, 0, 0, 700_000, tzinfo=UTC)
    assert len(await listed(support, place, late)) == 2  # cut to the second: rather one too many than one too few


async def test_an_update_changes_what_it_names(support: Support, place: Place) -> None:
    before = await filed(support, place)
    changed = await support.update(
        place, "claim-1", severity="moderate", contact=CONTACT.model_copy(update={"phone": "+41440000000"})
    )
    assert (changed.severity, changed.status, changed.number) == ("moderate", "open", before.number)
    closed = await support.update(place, "claim-1", status="closed")
    assert (closed.severity, closed.status) == ("moderate", "closed")
    assert (await support.update(place, "claim-1", status="closed")).modified == closed.modified
    assert (await support.update(place, "claim-1", status="open")).status == "open"


async def test_messages_of_both_sides_over_pages(simulator: Simulator, support: Support, place: Place) -> None:
    """Follows the recording, in which our message is inbound; in Microsoft's example it is outbound."""
    ticket = await filed(support, place)
    for number in range(11):
        simulator.post(f"/azure-tickets/{ticket.number}/communications", {"body": f"Question {number}"})
    said = {"subject": "Re: – ¡Gracias!", "body": "All of them.", "sender": "ana@partner.example"}
    await over(support, place, await support.communicate(place, "claim-1", "reply-1", **said))
    mine = await support.communication(place, "claim-1", "reply-1")
    assert (mine.subject, mine.body, mine.sender, mine.direction) == (*said.values(), "inbound")
    assert mine.created is not None
    everything = await support.communications(place, "claim-1")
    assert [each.body for each in everything] == [*(f"Question {number}" for number in range(11)), "All of them."]
    assert {each.direction for each in everything[:-1]} == {"outbound"}
    assert await support.communicate(place, "claim-1", "reply-1", **said) is None
    with pytest.raises(Conflict):
        await support.communicate(place, "claim-1", "reply-1", **{**said, "body": "Only one."})
    with pytest.raises(Rejected) as caught:
        await support.communicate(place, "claim-1", str(uuid4()), **said)
    # Its errors come in PascalCase (recorded), not as the document has them.
    assert (caught.value.status, caught.value.code) == (400, "InvalidData")


async def test_names_are_free_until_they_are_taken(support: Support, place: Place) -> None:
    assert await support.is_name_free(place, "claim-1")
    await filed(support, place)
    assert not await support.is_name_free(place, "CLAIM-1")
    assert not await support.is_name_free(place, "123456")
    assert await support.is_name_free(place, "reply-1", "communication", ticket="claim-1")
    # Taken by the service, though the document names tickets and communications only.
    assert await support.is_name_free(place, "files-1", "workspace")
    await support.create_workspace(place, "files-1")
    assert not await support.is_name_free(place, "files-1", "workspace")


async def test_a_plan_that_is_too_low_is_told_by_the_operation_and_by_a_change(
    simulator: Simulator, support: Support, place: Place
) -> None:
    await filed(support, place)
    simulator.post("/azure-tickets/access", {"of": place.subscription, "plan_is_too_low": True})
    operation = await support.create(place, "claim-2", await refund_request(support, place))
    with pytest.raises(SupportPlanTooLow) as caught:
        await over(support, place, operation)
    assert caught.value.status == 200
    with pytest.raises(SupportPlanTooLow):
        await support.update(place, "claim-1", status="closed")
    with pytest.raises(NotFound):
        await support.ticket(place, "claim-2")


async def test_without_rights_without_consent_or_elsewhere_nothing_is_done(
    simulator: Simulator, support: Support, place: Place
) -> None:
    new = await refund_request(support, place)
    simulator.post("/azure-tickets/access", {"of": place.subscription, "has_rights": False})
    with pytest.raises(Forbidden) as caught:
        await support.create(place, "claim-1", new)
    assert caught.value.code == "AuthorizationFailed"
    with pytest.raises(NotFound) as elsewhere:
        await support.create(Place(place.tenant, str(uuid4())), "claim-1", new)
    assert elsewhere.value.code == "SubscriptionNotFound"
    closed = str(uuid4())
    body: dict[str, object] = {"id": closed, "company_name": "Closed", "domain": "closed.example"}
    simulator.post("/customers", {**body, "has_consented": False})
    with pytest.raises(ConsentMissing, match=closed):
        await support.create(Place(closed, place.subscription), "claim-1", new)


async def test_what_isnt_there_is_not_found(support: Support, place: Place) -> None:
    await filed(support, place)
    for reading in (
        support.ticket(place, "claim-2"),
        support.communications(place, "claim-2"),
        support.communication(place, "claim-1", "reply-9"),
        support.ticket(place, " .. "),
    ):
        with pytest.raises(NotFound):
            await reading


async def test_a_workspace_that_expired_takes_no_file_and_no_ticket(
    simulator: Simulator, support: Support, place: Place
) -> None:
    await support.create_workspace(place, "files-1")
    expired = {"subscription_id": place.subscription, "name": "files-1"}
    simulator.post("/azure-tickets/workspaces/expire", {**expired})
    with pytest.raises(Rejected, match="expired"):
        await support.upload(place, "files-1", "form.pdf", b"%PDF-1.7")
    new = await refund_request(support, place, workspace="files-1")
    with pytest.raises(Rejected, match="expired"):
        await support.create(place, "claim-1", new)


@pytest.fixture
def slowly(simulator: Simulator) -> Iterator[None]:
    """Azure's times, a hundredth of them: an operation takes a fifth of a second."""
    before = simulator.door.get("/behaviour").json()["time_scale"]
    simulator.door.put("/behaviour", json={"time_scale": 0.01}).raise_for_status()
    yield
    simulator.door.put("/behaviour", json={"time_scale": before}).raise_for_status()


@pytest.mark.usefixtures("slowly")
async def test_an_operation_is_looked_at_until_it_is_over(support: Support, place: Place) -> None:
    started = await support.create(place, "claim-1", await refund_request(support, place))
    assert started is not None
    assert len(started.url) > 3000
    looked = await support.look(place, started.url)
    assert (looked.status, looked.is_over) == ("inprogress", False)
    with pytest.raises(NotFound):
        await support.ticket(place, "claim-1")
    again = await support.create(place, "claim-1", await refund_request(support, place))
    assert again is not None
    assert again.url == started.url
    assert (await over(support, place, started)).is_over
    assert (await support.ticket(place, "claim-1")).name == "claim-1"
    with pytest.raises(Rejected):
        await support.look(place, started.url[:-1])
