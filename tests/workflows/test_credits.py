"""From the approval to the line on the invoice: matched, contested, in parts, late, disputed, written off."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from domain.claims import Claim, Event, Outcome, Status, WaitingOn
from domain.messages import (
    AllocateCredit,
    Dispute,
    RecordDecision,
    RecordFiling,
    ReleaseCredit,
    Withdraw,
    WriteOff,
)
from domain.money import Money
from domain.policy import Category
from domain.triage import Route
from tests.workflows.desk import ANA, Desk, Handle, new_claim, refused
from tests.workflows.states import HASH, KINDS, Story, bought, line_of, reach

GRANTED = "customerCredit"


def approved(amount: str | None = None, outcome: Outcome = Outcome.APPROVED) -> RecordDecision:
    money = Money(amount=amount, currency="EUR") if amount else None
    return RecordDecision(actor=ANA, request_hash=HASH, outcome=outcome, amount=money, reason="Their mail.")


def give(line_id: str, amount: str | None = None) -> AllocateCredit:
    money = Money(amount=amount, currency="EUR") if amount else None
    return AllocateCredit(actor=ANA, request_hash=HASH, line_id=line_id, amount=money)


async def left(desk: Desk, claim: Claim) -> dict[str, Decimal]:
    """What no claim has yet of the credits for the claim's subscription, by line."""
    lines = await desk.credits.lines(claim.opening.customer_id, claim.opening.subscription_id)
    return {line.id: line.left for line in lines if line.amount > 0}


async def quiet(desk: Desk, handle: Handle) -> Claim:
    """The claim once its run has nothing more to do."""
    while True:
        described = (await handle.describe()).raw_description
        if not described.pending_activities and not described.HasField("pending_workflow_task"):
            return await desk.claim(handle)
        await asyncio.sleep(0.02)


async def contesting(desk: Desk) -> tuple[list[Handle], Claim, str]:
    """Two claims that wait for the same amount for the same subscription, and one line that fits both."""
    name = bought(desk.simulator)
    stories = [await reach(desk, Status.AWAITING_CREDIT, name) for _ in range(2)]
    handles = [await story.carry_on() for story in stories]
    invoice = desk.invoice(stories[0].claim, "-48.00", charge_type=GRANTED)
    await desk.sweep("CreditSweep")
    for handle in handles:
        await desk.happened(handle, Event.CREDIT_MATCHED)
    return handles, stories[0].claim, await line_of(desk, stories[0].claim, invoice)


async def test_the_line_that_fits_one_claim_only_is_given_to_it(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.AWAITING_CREDIT)
    handle = await story.carry_on()
    at_desk.invoice(story.claim, "-47.99", "-48.00", charge_type=GRANTED)
    await at_desk.sweep("CreditSweep")
    claim = await at_desk.until(handle, Status.CREDITED)
    (given,) = claim.credit.allocations
    assert (str(given.amount), given.currency, given.by_hand) == ("48.00", "EUR", False)
    assert sorted((await left(at_desk, claim)).values()) == [Decimal(0), Decimal("47.99")]
    assert await handle.result() == Status.CREDITED


async def test_what_two_claims_could_take_is_left_for_a_person(at_desk: Desk) -> None:
    (mine, other), claim, line = await contesting(at_desk)
    for handle in (mine, other):
        held = await at_desk.claim(handle)
        assert (held.status, held.waiting_on) == (Status.AWAITING_CREDIT, WaitingOn.US)
        assert (held.credit.contested_lines, held.credit.allocations) == ((line,), ())
        assert "another claim could take the same line" in (await at_desk.shown(handle))[1]
    await at_desk.ask(mine, "allocate_credit", give(line))
    held = await at_desk.until(mine, Status.CREDITED)
    assert [(str(a.amount), a.by_hand) for a in held.credit.allocations] == [("48.00", True)]
    # The other waits for a line of its own again, and can't have this one.
    await at_desk.sweep("CreditSweep")
    held = await at_desk.happened(other, Event.CREDIT_MATCHED, 2)
    assert (held.credit.contested_lines, held.waiting_on) == ((), WaitingOn.MICROSOFT_BILLING)
    why = await refused(at_desk.ask(other, "allocate_credit", give(line)))
    assert (why.rule, why.field) == ("line_left", "line_id")
    assert await left(at_desk, claim) == {line: Decimal(0)}
    await other.terminate()


async def test_a_part_given_by_hand_and_the_rest_found_later(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.AWAITING_CREDIT)
    handle = await story.carry_on()
    invoice = at_desk.invoice(story.claim, "-20.00", charge_type=GRANTED)
    await at_desk.sweep("CreditSweep")
    line = await line_of(at_desk, story.claim, invoice)
    why = await refused(at_desk.ask(handle, "allocate_credit", give(line, "20.01")))
    assert (why.rule, why.field, "20.00 EUR" in why.message) == ("line_left", "amount", True)
    assert (await at_desk.ask(handle, "allocate_credit", give(line))).status is Status.AWAITING_CREDIT

    at_desk.invoice(story.claim, "-28.00", charge_type=GRANTED)
    await at_desk.sweep("CreditSweep")
    claim = await at_desk.until(handle, Status.CREDITED)
    assert [(str(a.amount), a.by_hand) for a in claim.credit.allocations] == [("20.00", True), ("28.00", False)]


async def test_a_line_that_was_taken_back_is_not_given_again(at_desk: Desk) -> None:
    (mine, other), claim, line = await contesting(at_desk)
    answer = await at_desk.ask(mine, "allocate_credit", give(line, "20.00"))
    assert answer.result
    release = ReleaseCredit(actor=ANA, request_hash=HASH, allocation_id=answer.result, reason="Not ours.")
    await at_desk.ask(mine, "release_credit", release)
    assert await left(at_desk, claim) == {line: Decimal("48.00")}
    # Now that nobody else wants it, it would fit this claim alone.
    await at_desk.ask(other, "withdraw", Withdraw(actor=ANA, request_hash=HASH, reason="Settled otherwise."))
    await at_desk.sweep("CreditSweep")
    await at_desk.sweep("CreditSweep")
    held = await quiet(at_desk, mine)
    assert (held.status, held.credit.allocations) == (Status.AWAITING_CREDIT, ())
    assert held.credit.released_lines == (line,)
    # A person who thinks better of it can.
    assert (await at_desk.ask(mine, "allocate_credit", give(line))).status is Status.CREDITED


async def test_a_credit_that_missed_its_first_invoice_is_late_and_still_found(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.AWAITING_CREDIT, currency="SEK")
    handle = await story.carry_on()
    after = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    empty: dict[str, object] = {"billing_provider": "one_time", "currency": "SEK", "invoice_date": after, "lines": []}
    invoice = at_desk.simulator.post("/invoices", empty)["id"]
    await at_desk.sweep("CreditSweep")
    claim = await at_desk.happened(handle, Event.CREDIT_MATCHED)
    assert claim.credit.late_since_invoice is not None
    assert (claim.status, claim.waiting_on) == (Status.AWAITING_CREDIT, WaitingOn.US)
    assert "late" in (await at_desk.shown(handle))[1]
    await at_desk.sweep("CreditSweep")
    assert (await at_desk.events(handle)).count(Event.CREDIT_MATCHED) == 1, f"told once of {invoice}"

    at_desk.invoice(story.claim, "-48.00", charge_type=GRANTED, currency="SEK")
    await at_desk.sweep("CreditSweep")
    assert str((await at_desk.until(handle, Status.CREDITED)).credit.allocated) == "48.00"


@pytest.mark.parametrize(
    ("subscription", "route", "amount"),
    [
        ("legacy_suspended_within_30_days", Route.REFUNDED_IN_FULL, "48.00"),
        ("legacy_suspended_in_month_2", Route.CREDITED_PRO_RATA, "41.34"),
    ],
    ids=["in-full-48.00", "pro-rata-41.34"],
)
async def test_what_follows_a_cancellation_by_itself_is_expected_and_found(
    at_desk: Desk, subscription: str, route: Route, amount: str
) -> None:
    await at_desk.sweep("CreditSweep")
    stopped = date.fromisoformat(at_desk.simulator.seed["subscriptions"][subscription]["suspended_on"])
    claim = new_claim(at_desk.simulator, subscription, Category.CANCELLATION, asked=None, stopped_on=stopped)
    handle = await at_desk.open(claim)
    claim = await at_desk.until(handle, Status.CREDITED)
    assert claim.route is route
    assert Decimal(amount) in claim.credit.expected
    assert [str(given.amount) for given in claim.credit.allocations] == [amount]
    assert claim.filing is None, "no service request"
    assert await at_desk.events(handle) == [Event.OPENED, Event.TRIAGED, Event.CREDIT_MATCHED]


@pytest.mark.parametrize("order", ["credit-first", "decision-first", "at-once"])
async def test_a_decision_while_the_credit_arrives_makes_one_allocation(at_desk: Desk, order: str) -> None:
    story = await reach(at_desk, Status.FILED)
    handle = await story.carry_on()
    at_desk.invoice(story.claim, "-48.00", charge_type=GRANTED)
    decide, sweep = at_desk.ask(handle, "record_decision", approved()), at_desk.sweep("CreditSweep")
    match order:
        case "credit-first":
            await sweep
            await decide
        case "decision-first":
            await decide
            await sweep
        case _:
            await asyncio.gather(decide, sweep)
            # The sweep may have looked a moment before the claim was on record as awaiting its credit.
            await at_desk.sweep("CreditSweep")
    claim = await at_desk.until(handle, Status.CREDITED)
    assert [str(given.amount) for given in claim.credit.allocations] == ["48.00"]
    assert (await at_desk.credits.allocations([claim.id]))[claim.id] == claim.credit.allocations
    assert list((await left(at_desk, claim)).values()) == [Decimal(0)]
    assert (await at_desk.events(handle))[-2:] == [Event.RECORD_DECISION, Event.CREDIT_MATCHED]


async def test_two_claims_approved_in_the_same_instant_do_not_share_a_line(at_desk: Desk) -> None:
    name = bought(at_desk.simulator)
    stories = [await reach(at_desk, Status.FILED, name) for _ in range(2)]
    handles = [await story.carry_on() for story in stories]
    at_desk.invoice(stories[0].claim, "-48.00", charge_type=GRANTED)
    await at_desk.sweep("CreditSweep")
    await asyncio.gather(*(at_desk.ask(handle, "record_decision", approved()) for handle in handles))
    claims = [await quiet(at_desk, handle) for handle in handles]
    given = [allocation for claim in claims for allocation in claim.credit.allocations]
    on_record = await at_desk.credits.allocations([claim.id for claim in claims])
    assert sum(map(len, on_record.values())) == len(given) <= 1
    for handle, claim in zip(handles, claims, strict=True):
        if claim.status is Status.AWAITING_CREDIT:
            await handle.terminate()


async def test_written_off_a_claim_keeps_what_it_got(at_desk: Desk) -> None:
    off = WriteOff(actor=ANA, request_hash=HASH, reason="Not worth another mail.")
    part = await (await reach(at_desk, Status.AWAITING_CREDIT)).allocate("20.00")
    handle = await part.carry_on()
    assert (await at_desk.ask(handle, "write_off", off)).status is Status.CREDITED
    claim = await at_desk.claim(handle)
    assert (str(claim.credit.allocated), claim.closing_reason) == (
        "20.00",
        "Written off after 20.00 EUR: Not worth another mail.",
    )
    nothing = await reach(at_desk, Status.AWAITING_CREDIT)
    handle = await nothing.carry_on()
    assert (await at_desk.ask(handle, "write_off", off)).status is Status.WITHDRAWN
    assert await handle.result() == Status.WITHDRAWN


async def test_disputed_on_its_ticket_a_claim_keeps_what_it_got_and_the_new_decision_counts_it(at_desk: Desk) -> None:
    story = await (await reach(at_desk, Status.AWAITING_CREDIT)).allocate("20.00")
    handle = await story.carry_on()
    dispute = Dispute(actor=ANA, request_hash=HASH, reason="They granted 48.00.")
    assert (await at_desk.ask(handle, "dispute", dispute)).status is Status.FILED
    claim = await at_desk.claim(handle)
    assert (claim.decision, str(claim.credit.allocated)) == (None, "20.00")
    assert (await at_desk.ask(handle, "record_decision", approved())).status is Status.AWAITING_CREDIT
    at_desk.invoice(claim, "-28.00", charge_type=GRANTED)
    await at_desk.sweep("CreditSweep")
    claim = await at_desk.until(handle, Status.CREDITED)
    assert [str(given.amount) for given in claim.credit.allocations] == ["20.00", "28.00"]


async def test_disputed_without_a_ticket_a_claim_is_filed_whatever_the_deadline(at_desk: Desk) -> None:
    story = Story.of(at_desk, late=True, category=Category.CANCELLATION).triage(Route.REFUNDED_IN_FULL)
    handle = await story.carry_on()
    dispute = Dispute(actor=ANA, request_hash=HASH, reason="Nothing came.")
    assert (await at_desk.ask(handle, "dispute", dispute)).status is Status.COLLECTING_EVIDENCE
    assert story.claim.deadline
    assert story.claim.deadline.due_at < datetime.now(UTC)
    helper = Story(at_desk, await at_desk.claim(handle))
    for kind, content in zip(KINDS, (b"%PDF-1.7\n%%EOF\n", b"%PDF-1.7\n%%EOF\n."), strict=True):
        await at_desk.attach(handle, kind, content)
    assert (await at_desk.claim(handle)).status is Status.READY_TO_FILE
    number = helper.ticket(created=datetime.now(UTC))
    answer = await at_desk.ask(
        handle, "record_filing", RecordFiling(actor=ANA, request_hash=HASH, ticket_number=number)
    )
    assert answer.status is Status.FILED
    # Granted on a ticket now, it stands under another type of charge.
    await at_desk.ask(handle, "record_decision", approved("48.00"))
    at_desk.invoice(helper.claim, "-48.00", charge_type=GRANTED)
    await at_desk.sweep("CreditSweep")
    assert (await at_desk.until(handle, Status.CREDITED)).credit.is_settled
