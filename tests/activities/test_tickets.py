"""Tickets read back, answered once, and swept at a cost that grows with changes and not with waiting claims."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.tickets import LookUpTicket, ReplyToTicket, Tickets
from domain.claims import Claim, Filing, Status
from domain.tickets import Ticket, TicketStatus, fingerprint
from tests.activities.conftest import Desk
from tests.microsoft.stand_ins import clients
from tests.records.samples import ANA, NOW, claim
from tests.simulated import Simulator

PAGE = 50
"""Tickets in a page of the shared simulator."""


def _ticket(simulator: Simulator, **more: object) -> str:
    customer = simulator.seed["customers"]["contoso"]["id"]
    return str(simulator.post("/service-requests", {"customer_id": customer, **more})["id"])


def _changed(simulator: Simulator, number: str, status: str, note: str) -> None:
    simulator.post(f"/service-requests/{number}/status", {"status": status, "note": note})


@pytest.fixture
def customer(simulator: Simulator) -> str:
    return str(simulator.seed["customers"]["contoso"]["id"])


async def test_a_ticket_is_read_back_with_the_time_it_was_filed(
    desk: Desk, simulator: Simulator, customer: str
) -> None:
    number = _ticket(simulator, title="Outage of 15 February", created_date="2026-02-27T23:59:59.5Z")
    found = await desk.run(desk.tickets.look_up, LookUpTicket(number=number, customer_id=customer.upper()))
    assert found.ticket is not None
    assert found.ticket.created_at == datetime(2026, 2, 27, 23, 59, 59, 500_000, tzinfo=UTC)
    assert (found.ticket.title, found.ticket.status) == ("Outage of 15 February", TicketStatus.OPEN)
    assert found.ticket.customer_id == customer.lower()


async def test_a_number_that_microsoft_does_not_show_gives_nothing(desk: Desk, customer: str) -> None:
    found = await desk.run(desk.tickets.look_up, LookUpTicket(number="600000000000001", customer_id=customer))
    assert (found.ticket, found.other_customer) == (None, False)


async def test_a_ticket_of_another_customer_is_told_and_not_shown(desk: Desk, simulator: Simulator) -> None:
    other = simulator.seed["customers"]["fabrikam"]["id"]
    found = await desk.run(desk.tickets.look_up, LookUpTicket(number=_ticket(simulator), customer_id=other))
    assert (found.ticket, found.other_customer) == (None, True)


async def test_the_newest_note_comes_with_the_ticket(desk: Desk, simulator: Simulator, customer: str) -> None:
    number = _ticket(simulator)
    _changed(simulator, number, "attention_needed", "Which users were affected?")
    found = await desk.run(desk.tickets.look_up, LookUpTicket(number=number, customer_id=customer))
    assert found.ticket is not None
    assert found.ticket.status is TicketStatus.ATTENTION_NEEDED
    assert found.ticket.last_note is not None
    assert found.ticket.last_note.text == "Which users were affected?"


def _notes(simulator: Simulator, number: str) -> list[str]:
    return [note["text"] for note in simulator.door.get(f"/service-requests/{number}").json()["notes"]]


async def test_a_reply_sent_twice_is_one_note(desk: Desk, simulator: Simulator, customer: str) -> None:
    number = _ticket(simulator)
    _changed(simulator, number, "attention_needed", "Which users?")
    answer = ReplyToTicket(number=number, customer_id=customer, text="All 20 of them.")
    first = await desk.run(desk.tickets.reply, answer)
    second = await desk.run(desk.tickets.reply, answer)
    assert _notes(simulator, number) == ["Which users?", "All 20 of them."]
    assert first == second
    assert first.status is TicketStatus.OPEN


async def test_a_reply_whose_answer_was_lost_is_looked_for_before_it_is_sent_again(
    desk: Desk, simulator: Simulator, customer: str
) -> None:
    number = _ticket(simulator)
    simulator.post("/faults", {"kind": "drop", "method": "PATCH", "when": "after"})
    answer = ReplyToTicket(number=number, customer_id=customer, text="All 20 of them.")
    with pytest.raises(ApplicationError) as lost:
        await desk.run(desk.tickets.reply, answer)
    assert (lost.value.type, lost.value.non_retryable) == ("ambiguous", False)
    await desk.run(desk.tickets.reply, answer)
    assert _notes(simulator, number) == ["All 20 of them."]


async def test_the_same_text_answers_a_new_question_again(desk: Desk, simulator: Simulator, customer: str) -> None:
    number = _ticket(simulator)
    answer = ReplyToTicket(number=number, customer_id=customer, text="See the form.")
    for question in ("Which users?", "And which services?"):
        _changed(simulator, number, "attention_needed", question)
        await desk.run(desk.tickets.reply, answer)
    assert _notes(simulator, number) == ["Which users?", "See the form.", "And which services?", "See the form."]


async def test_nothing_is_written_on_another_customers_ticket(desk: Desk, simulator: Simulator) -> None:
    number = _ticket(simulator)
    other = simulator.seed["customers"]["fabrikam"]["id"]
    refusal = await desk.refusal(desk.tickets.reply, ReplyToTicket(number=number, customer_id=other, text="Hello"))
    assert refusal.rule == "ticket_customer"
    assert _notes(simulator, number) == []


@pytest.mark.parametrize(
    ("fault", "kind", "is_final"),
    [
        ({"kind": "throttle", "seconds": 57, "times": 1}, "throttled", False),
        ({"kind": "error", "status": 503, "times": 3}, "microsoft_unavailable", False),
        ({"kind": "error", "status": 400, "times": 1}, "rejected", True),
        ({"kind": "error", "status": 403, "times": 1}, "forbidden", True),
    ],
)
async def test_trouble_at_microsoft_says_whether_trying_again_helps(
    desk: Desk, simulator: Simulator, customer: str, fault: dict[str, object], kind: str, is_final: bool
) -> None:
    simulator.post("/faults", {"path": "/v1/servicerequests", **fault})
    with pytest.raises(ApplicationError) as caught:
        await desk.run(desk.tickets.look_up, LookUpTicket(number="600000000000001", customer_id=customer))
    assert (caught.value.type, caught.value.non_retryable) == (kind, is_final)
    if kind == "throttled":
        assert caught.value.next_retry_delay == timedelta(seconds=57)


async def test_a_reply_to_a_ticket_not_yet_visible_is_no_alarm(desk: Desk, customer: str) -> None:
    wanted = ReplyToTicket(number="600000000000001", customer_id=customer, text="Hello")
    with pytest.raises(ApplicationError) as caught:
        await desk.run(desk.tickets.reply, wanted)
    assert (caught.value.type, caught.value.category) == ("not_found", ApplicationErrorCategory.BENIGN)


async def _filed(desk: Desk, number: str, customer: str, unverified: bool = False) -> Claim:
    """A claim filed as this ticket, as it stands at Microsoft now."""
    ticket = None
    if not unverified:
        ticket = (await desk.run(desk.tickets.look_up, LookUpTicket(number=number, customer_id=customer))).ticket
    filing = Filing(number=number, recorded_at=NOW, recorded_by=ANA, give_up_at=NOW, ticket=ticket)
    status = Status.READY_TO_FILE if unverified else Status.FILED
    return claim(uuid4().int % 16**20, reference=uuid4().hex, customer_id=customer, status=status, filing=filing)


async def test_a_sweep_tells_exactly_the_claims_whose_ticket_changed(
    desk: Desk, simulator: Simulator, customer: str
) -> None:
    same, asked, closed, gone, shared = (_ticket(simulator) for _ in range(5))
    claims = {number: await _filed(desk, number, customer) for number in (same, asked, closed, gone, shared)}
    second = await _filed(desk, shared, customer)
    late = await _filed(desk, _ticket(simulator), customer, unverified=True)
    invisible = await _filed(desk, "600000000000002", customer, unverified=True)
    running = [*(claims[number] for number in (same, asked, closed, shared)), second, late, invisible]
    await desk.record(*running, running=True)
    await desk.record(claims[gone])
    for number in (asked, closed, gone, shared):
        _changed(simulator, number, "attention_needed", "Which users?")

    report = await desk.run(desk.tickets.sweep_tickets)

    told = [claims[asked], claims[closed], claims[shared], second, late]
    assert [await desk.signals(each) for each in told] == [["ticket_changed"]] * len(told)
    assert [await desk.signals(each) for each in (claims[same], invisible)] == [[], []]
    # Of the five changed tickets one is of two claims, and one of a claim whose workflow has ended.
    assert (report.changed, report.signalled) == (5, 5)
    assert "tickets" in await desk.claims.sweep_successes()


async def test_a_thousand_waiting_claims_cost_no_more_calls_than_pages(
    desk: Desk, simulator: Simulator, customer: str
) -> None:
    bulk = simulator.post("/service-requests/bulk", {"customer_id": customer, "count": 1000})
    numbers = bulk["ids"]
    assert isinstance(numbers, list)
    template = await _filed(desk, numbers[0], customer)
    assert template.ticket is not None
    # They weren't all made in one second, so they haven't all one fingerprint.
    modified = {one.id: one.modified async for page in desk.partner_center.service_requests(PAGE) for one in page}
    claims = []
    for number in numbers:
        seen = fingerprint(template.ticket.status, modified[number])
        found = template.ticket.model_copy(update={"number": number, "fingerprint": seen})
        filing = Filing(number=number, recorded_at=NOW, recorded_by=ANA, give_up_at=NOW, ticket=found)
        claims.append(claim(int(number), reference=number, customer_id=customer, status=Status.FILED, filing=filing))
    await desk.record(*claims)
    first = await desk.run(desk.tickets.sweep_tickets)
    assert (first.changed, first.signalled) == (0, 0)

    changed = numbers[::33][:30]
    for each in claims:
        if each.filing and each.filing.number in changed:
            await desk.client.start_workflow("CreditClaim", id=each.id, task_queue="nobody")
    simulator.post(
        "/service-requests/bulk-change", {"ids": changed, "status": "attention_needed", "note": "Which users?"}
    )
    simulator.calls()
    report = await desk.run(desk.tickets.sweep_tickets)

    assert (report.changed, report.signalled) == (30, 30)
    assert simulator.calls() <= -(-report.listed // PAGE) + 1


async def test_without_waiting_claims_microsoft_is_not_asked(desk: Desk, simulator: Simulator) -> None:
    simulator.calls()
    report = await desk.run(desk.tickets.sweep_tickets)
    assert (report.listed, simulator.calls()) == (0, 0)


async def test_a_sweep_that_failed_is_no_success(desk: Desk, simulator: Simulator, customer: str) -> None:
    await desk.record(await _filed(desk, _ticket(simulator), customer))
    simulator.post("/faults", {"kind": "error", "status": 403, "path": "/v1/servicerequests"})
    with pytest.raises(ApplicationError):
        await desk.run(desk.tickets.sweep_tickets)
    assert await desk.claims.sweep_successes() == {}


async def test_a_ticket_that_cannot_be_read_keeps_no_news_from_the_others_and_fails_the_sweep(desk: Desk) -> None:
    filed = Ticket(
        number="7",
        title="x",
        status=TicketStatus.OPEN,
        customer_id=None,
        created_at=NOW,
        modified_at=NOW,
        fingerprint="old",
    )
    filing = Filing(number="7", recorded_at=NOW, recorded_by=ANA, give_up_at=NOW, ticket=filed)
    waiting = claim(77, reference="7", status=Status.FILED, filing=filing)
    await desk.record(waiting, running=True)
    listed = [{"id": "6", "status": 1, "createdDate": "yesterday"}, {"id": "7", "status": 3}]
    partner_center, _, _ = clients({"items": listed})
    tickets = Tickets(partner_center, desk.azure, desk.claims, desk.client, 50)
    with pytest.raises(ApplicationError) as caught:
        await desk.run(tickets.sweep_tickets)
    assert caught.value.type == "malformed"
    assert await desk.signals(waiting) == ["ticket_changed"]
    assert await desk.claims.sweep_successes() == {}
