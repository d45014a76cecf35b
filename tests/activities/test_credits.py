"""From the invoice to the claim: lines read once, given once, and the right claims told."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import heartbeats
from activities.credits import AllocateLine, Credits, MatchClaim, ReleaseLine
from activities.customers import TriageRequest
from activities.invoices import credit_line, invoice_read
from domain import settlement
from domain.claims import Claim, CreditState, Status
from domain.lifecycle import apply
from domain.messages import ReleaseCredit
from domain.money import Money
from domain.policy import Category, Commerce
from domain.triage import Route
from tests.activities.conftest import Desk
from tests.microsoft.stand_ins import HOST, clients
from tests.records.samples import ANA, NOW, awaiting, claim, invoice, line
from tests.simulated import Simulator

DECIDED = date(2026, 2, 20)
FILE = "/adlsreconbuprod/"
"""Where the files of an export begin."""


@pytest.fixture
def subscription(simulator: Simulator) -> tuple[str, str]:
    """Customer and id of a subscription of new commerce on which nothing was billed yet."""
    customer = str(simulator.seed["customers"]["tailspin"]["id"])
    made = simulator.post(
        "/subscriptions",
        {
            "id": str(uuid4()),
            "customerId": customer,
            "commerce": "new_commerce",
            "offerId": "CFQ7TTC0LH18:0001:CFQ7TTC0K971",
            "offerName": "Microsoft 365 Business Basic",
            "creationDate": "2026-01-14T16:57:15Z",
            "effectiveStartDate": "2026-01-14T16:57:15Z",
            "commitmentEndDate": "2027-01-13T00:00:00Z",
            "orderId": "34b37d7340cc",
        },
    )
    return customer, str(made["id"])


def _waiting(subscription: tuple[str, str], *amounts: str, currency: str = "USD", **changes: object) -> Claim:
    customer, subscription_id = subscription
    return awaiting(
        uuid4().int % 16**20,
        *amounts,
        currency=currency,
        reference=uuid4().hex,
        customer_id=customer,
        subscription_id=subscription_id,
        **changes,
    )


def _issue(simulator: Simulator, subscription: tuple[str, str], *amounts: str, **more: object) -> str:
    """Microsoft issues an invoice with these amounts as credits granted on a claim (negative: to us)."""
    customer, subscription_id = subscription
    lines = [
        {
            "customer_id": customer,
            "subscription_id": subscription_id,
            "charge_type": "customerCredit",
            "amount": amount,
            "tax": "0.19",
        }
        for amount in amounts
    ]
    body = {"billing_provider": "one_time", "invoice_date": "2026-03-05T00:00:00Z", "lines": lines, **more}
    return str(simulator.post("/invoices", body)["id"])


async def _only_line(desk: Desk, subscription: tuple[str, str]) -> str:
    [found] = await desk.credits.lines(*subscription)
    return found.id


async def test_each_invoice_is_read_once(desk: Desk, simulator: Simulator, subscription: tuple[str, str]) -> None:
    _issue(simulator, subscription, "-41.34")
    first = await desk.run(desk.money.sweep_credits)
    assert first.read == first.listed > 0
    simulator.calls()
    second = await desk.run(desk.money.sweep_credits)
    assert (second.listed, second.read) == (first.listed, 0)
    # One page of invoices, no lines.
    assert simulator.calls() == -(-first.listed // 200)
    number = _issue(simulator, subscription, "-10")
    third = await desk.run(desk.money.sweep_credits)
    assert third.read == 1
    assert number in await desk.credits.versions()
    assert "credits" in await desk.claims.sweep_successes()


async def test_a_line_is_kept_before_tax_with_a_credit_positive(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    number = _issue(simulator, subscription, "-41.34")
    await desk.run(desk.money.sweep_credits)
    [found] = await desk.credits.lines(*subscription)
    assert (found.amount, found.currency, found.charge_type) == (Decimal("41.34"), "USD", "customercredit")
    assert (found.invoice_id, found.invoice_date) == (number, date(2026, 3, 5))


async def test_two_sweeps_at_once_keep_every_line_once(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    _issue(simulator, subscription, "-1", "-1", "-2")
    reports = await asyncio.gather(*(desk.run(desk.money.sweep_credits) for _ in range(2)))
    assert sum(report.read for report in reports) == reports[0].listed
    assert sorted(each.amount for each in await desk.credits.lines(*subscription)) == [1, 1, 2]


@pytest.mark.parametrize(("dated", "interrupted"), [("2023-08-31", "/v1/invoices/.+/lineitems"), ("2023-09-01", FILE)])
async def test_an_invoice_whose_reading_is_interrupted_leaves_nothing_and_stops_no_other(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str], dated: str, interrupted: str
) -> None:
    money = Credits(desk.billing, desk.credits, desk.claims, desk.client, 2)
    await desk.run(money.sweep_credits)
    # The third line is on a second page, or in a second file.
    broken = _issue(simulator, subscription, "-1", "-2", "-3", invoice_date=f"{dated}T00:00:00Z")
    waiting = _waiting(subscription, "5")
    await desk.record(waiting, running=True)
    before = await desk.claims.sweep_successes()
    simulator.post("/faults", {"kind": "slow", "seconds": 0, "path": interrupted})  # the first page or file
    simulator.post("/faults", {"kind": "error", "status": 400, "path": interrupted})  # the second
    other = _issue(simulator, subscription, "-5")
    with pytest.raises(ApplicationError) as caught:
        await desk.run(money.sweep_credits)
    assert caught.value.type == "rejected"
    versions = await desk.credits.versions()
    assert broken not in versions
    assert other in versions
    assert [each.amount for each in await desk.credits.lines(*subscription)] == [5]
    assert await desk.signals(waiting) == ["credits_changed"]
    assert await desk.claims.sweep_successes() == before
    await desk.run(money.sweep_credits)
    assert len(await desk.credits.lines(*subscription)) == 4


async def test_an_invoice_puts_the_same_lines_on_record_from_either_source(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    number = _issue(simulator, subscription, "-41.34", "0.1", "-41.34", "-3", "90071992547.93", "-41.34")
    await desk.run(desk.money.sweep_credits)
    exported = await desk.credits.lines(*subscription)
    [invoice_] = [each async for page in desk.billing.invoices() for each in page if each.id == number]
    # As if it were of the time when only Partner Center had the lines.
    old = invoice_.model_copy(update={"date": datetime(2023, 8, 31, tzinfo=UTC)})
    async with desk.billing.lines(old) as lines:
        again = invoice_read(invoice_).model_copy(update={"version": "read at Partner Center"})
        assert await desk.credits.keep_invoice(again, [credit_line(each, invoice_) for each in lines])
    assert len(exported) == 6
    assert await desk.credits.lines(*subscription) == exported


async def test_an_amended_invoice_is_read_again_and_so_is_what_amends_it(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    number = _issue(simulator, subscription, "100")
    await desk.run(desk.money.sweep_credits)
    note = _issue(simulator, subscription, "-41.34", document_type="adjustment_note", amends_of=number)
    assert (await desk.run(desk.money.sweep_credits)).read == 2
    assert {each.invoice_id for each in await desk.credits.lines(*subscription)} == {number, note}
    assert (await desk.run(desk.money.sweep_credits)).read == 0


async def test_an_amendment_that_stands_in_its_invoice_only_is_read_too(desk: Desk) -> None:
    def office(amount: str) -> dict[str, object]:
        ours = {"customerId": "c", "syndicationPartnerSubscriptionNumber": "s", "currency": "CHF"}
        return {"items": [{**ours, "chargeType": "Cycle fee", "totalForCustomer": amount}]}

    note = {"id": "D2", "totalCharges": -5, "documentType": "adjustment_note", "amendsOf": "D1"}
    listed = {"id": "D1", "invoiceDate": "2026-03-01", "totalCharges": 9, "currencyCode": "CHF", "amendments": [note]}
    _, billing, script = clients({"items": [listed]}, office("9"), office("-5"))
    money = Credits(billing, desk.credits, desk.claims, desk.client, 2000)
    report = await desk.run(money.sweep_credits)
    assert (report.listed, report.read, script.replies) == (2, 2, [])
    assert {each.invoice_id: each.amount for each in await desk.credits.lines("c", "s")} == {"D1": -9, "D2": 5}


async def test_an_invoice_without_data_yet_stops_no_other(desk: Desk) -> None:
    common = {"invoiceDate": "2026-03-01", "totalCharges": 9, "currencyCode": "CHF"}
    line_ = {"customerId": "c", "syndicationPartnerSubscriptionNumber": "s", "totalForCustomer": 9, "currency": "CHF"}
    _, billing, script = clients(
        {"items": [{**common, "id": "G1"}, {**common, "id": "D1"}]},
        {"access_token": "for Graph"},
        {},
        {"status": "failed", "error": {"code": "5000", "message": "No data available"}},
        {"items": [line_]},
    )
    script.replies[3] = httpx.Response(202, headers={"Location": f"{HOST}/v1.0/operations/1", "Retry-After": "0"})
    money = Credits(billing, desk.credits, desk.claims, desk.client, 2000)
    with pytest.raises(ApplicationError, match="No data available") as caught:
        await desk.run(money.sweep_credits)
    assert caught.value.type == "not_found"
    assert script.replies == []
    assert set(await desk.credits.versions()) == {"D1"}
    assert await desk.claims.sweep_successes() == {}


OFFICE_LINE = {
    "customerId": "c",
    "syndicationPartnerSubscriptionNumber": "s",
    "chargeType": "Cycle fee",
    "totalForCustomer": -5,
    "currency": "CHF",
}


def _legacy(number: str, total: int, **more: object) -> dict[str, object]:
    return {"id": number, "invoiceDate": "2026-03-01", "totalCharges": total, "currencyCode": "CHF", **more}


async def test_an_invoice_whose_lines_are_not_there_yet_is_asked_for_until_they_are(desk: Desk) -> None:
    listed, empty = {"items": [_legacy("D1", 500)]}, {"items": [], "totalCount": 0}
    _, billing, script = clients(listed, empty, listed, empty, listed, {"items": [OFFICE_LINE]})
    money = Credits(billing, desk.credits, desk.claims, desk.client, 2000)
    for _ in range(2):
        with pytest.raises(ApplicationError, match="invoice D1 has no lines") as caught:
            await desk.run(money.sweep_credits)
        assert caught.value.type == "not_found"
    assert (await desk.run(money.sweep_credits)).read == 1
    assert script.replies == []
    assert [each.amount for each in await desk.credits.lines("c", "s")] == [5]


async def test_lines_that_a_changed_invoice_lacks_for_now_stay_on_record(desk: Desk) -> None:
    before, after = _legacy("D1", 500), _legacy("D1", 495)
    _, billing, _ = clients({"items": [before]}, {"items": [OFFICE_LINE]}, {"items": [after]}, {"items": []})
    money = Credits(billing, desk.credits, desk.claims, desk.client, 2000)
    await desk.run(money.sweep_credits)
    with pytest.raises(ApplicationError):
        await desk.run(money.sweep_credits)
    assert [each.amount for each in await desk.credits.lines("c", "s")] == [5]


async def test_an_invoice_of_another_provider_alone_fails_no_sweep(desk: Desk) -> None:
    azure = [{"billingProvider": "azure", "invoiceLineItemType": "billing_line_items"}]
    _, billing, _ = clients({"items": [_legacy("D1", 500, invoiceDetails=azure)]})
    money = Credits(billing, desk.credits, desk.claims, desk.client, 2000)
    assert (await desk.run(money.sweep_credits)).listed == 1
    assert "credits" in await desk.claims.sweep_successes()


async def test_an_invoice_that_cannot_be_read_stops_no_other_and_fails_the_sweep(
    desk: Desk, subscription: tuple[str, str]
) -> None:
    waiting = _waiting(subscription, "5", currency="CHF")
    await desk.record(waiting, running=True)
    customer, subscription_id = subscription
    credit = {**OFFICE_LINE, "customerId": customer, "syndicationPartnerSubscriptionNumber": subscription_id}
    broken = [_legacy("D1", 9, totalCharges=None), _legacy("D2", 9, amendments=[{"id": "D3"}])]
    note = _legacy("D5", -5, documentType="adjustment_note")
    _, billing, script = clients(
        {"items": [*broken, _legacy("D4", 9, amendments=[note])]},
        {"items": [{**OFFICE_LINE, "totalForCustomer": 9}]},
        {"items": [{**credit, "chargeType": "Offset a line item"}]},
    )
    money = Credits(billing, desk.credits, desk.claims, desk.client, 2000)
    with pytest.raises(ApplicationError, match=r"2 passed over, the first is D1: .*totalCharges") as caught:
        await desk.run(money.sweep_credits)
    assert caught.value.type == "malformed"
    assert script.replies == []
    assert set(await desk.credits.versions()) == {"D4", "D5"}
    assert await desk.signals(waiting) == ["credits_changed"]
    assert await desk.claims.sweep_successes() == {}


async def test_an_invoice_over_nothing_counts_though_it_has_no_lines(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    nothing = _issue(simulator, subscription)
    await desk.run(desk.money.sweep_credits)
    assert nothing in await desk.credits.versions()
    assert "credits" in await desk.claims.sweep_successes()


@pytest.mark.parametrize(
    ("status", "kind", "is_final"), [(403, "forbidden", True), (503, "microsoft_unavailable", False)]
)
async def test_where_exports_cannot_be_had_legacy_invoices_are_read_and_the_sweep_says_why_it_failed(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str], status: int, kind: str, is_final: bool
) -> None:
    exported = _issue(simulator, subscription, "-5")
    legacy = _issue(simulator, subscription, "-6", billing_provider="recurring")
    # Without a blob store or a right to it for one kind of invoice, the other is still to be had.
    simulator.post("/faults", {"kind": "error", "status": status, "path": "/v1.0/", "times": None})
    with pytest.raises(ApplicationError) as caught:
        await desk.run(desk.money.sweep_credits)
    assert (caught.value.type, caught.value.non_retryable) == (kind, is_final)
    versions = await desk.credits.versions()
    assert exported not in versions
    assert legacy in versions


async def test_a_sweep_that_waits_for_an_export_gives_signs_of_life(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.run(desk.money.sweep_credits)
    monkeypatch.setattr(heartbeats, "_EVERY", 0.02)
    beats: list[object] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: beats.append(details)
    _issue(simulator, subscription, "-5")
    simulator.door.put("/behaviour", json={"time_scale": 0.05}).raise_for_status()
    try:
        report = await environment.run(desk.money.sweep_credits)
    finally:
        simulator.door.put("/behaviour", json={"time_scale": 0}).raise_for_status()
    assert report.read == 1
    # The export takes half a second.
    assert len(beats) > 10


async def test_lines_of_a_voided_invoice_are_nobodys(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    _issue(simulator, subscription, "-41.34", document_type="void_note")
    await desk.run(desk.money.sweep_credits)
    assert await desk.credits.lines(*subscription) == ()


async def test_the_line_that_only_one_claim_could_take_is_given_once(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    number = _issue(simulator, subscription, "-41.34", "-99")
    await desk.run(desk.money.sweep_credits)
    waiting = _waiting(subscription, "41.34")
    await desk.record(waiting)
    first = await desk.run(desk.money.match, MatchClaim(claim=waiting))
    assert [(each.amount, each.invoice_id, each.by_hand) for each in first.allocations] == [
        (Decimal("41.34"), number, False)
    ]
    # The worker died before the workflow heard of it: the same question gets the same answer.
    assert await desk.run(desk.money.match, MatchClaim(claim=waiting)) == first
    change = settlement.matched(waiting, first)
    assert change is not None
    assert change.to is Status.CREDITED


async def test_a_match_asked_twice_at_once_gives_one_line(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    _issue(simulator, subscription, "-10")
    await desk.run(desk.money.sweep_credits)
    waiting = _waiting(subscription, "10")
    answers = await asyncio.gather(*(desk.run(desk.money.match, MatchClaim(claim=waiting)) for _ in range(3)))
    assert len({answer.allocations for answer in answers}) == 1
    assert [each.left for each in await desk.credits.lines(*subscription)] == [0]


async def test_what_two_claims_could_take_is_left_for_a_person(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    _issue(simulator, subscription, "-10")
    await desk.run(desk.money.sweep_credits)
    pair = [_waiting(subscription, "10"), _waiting(subscription, "10")]
    await desk.record(*pair)
    line_id = await _only_line(desk, subscription)
    for each in pair:
        found = await desk.run(desk.money.match, MatchClaim(claim=each))
        assert (found.allocations, found.contested_lines, found.late_since_invoice) == ((), (line_id,), None)
    # A person gives it to the one: it no longer stands between them.
    await desk.run(desk.money.allocate, AllocateLine(claim=pair[0], line_id=line_id, allocation_id="by-hand"))
    found = await desk.run(desk.money.match, MatchClaim(claim=pair[1]))
    assert found.contested_lines == ()


@pytest.mark.parametrize("currency", ["USD", None])
async def test_a_credit_of_an_amount_not_known_is_shown_to_a_person(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str], currency: str | None
) -> None:
    _issue(simulator, subscription, "-10")
    await desk.run(desk.money.sweep_credits)
    waiting = _waiting(subscription, credit=CreditState(currency=currency, since=DECIDED))
    found = await desk.run(desk.money.match, MatchClaim(claim=waiting))
    assert found.allocations == ()
    assert found.contested_lines == (await _only_line(desk, subscription),)


def _on(days_after_decision: int, currency: str) -> dict[str, object]:
    """An invoice of that day. A currency that no other test uses: an invoice makes every claim in its currency late."""
    return {"invoice_date": f"{DECIDED + timedelta(days=days_after_decision)}T12:00:00Z", "currency": currency}


async def test_a_claim_is_late_since_the_first_invoice_after_its_decision(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    waiting = _waiting(subscription, "10", currency="SEK")
    await desk.record(waiting, running=True)
    _issue(simulator, subscription, "-3", **_on(0, "SEK"))
    _issue(simulator, subscription, billing_provider="recurring", **_on(1, "SEK"))
    assert (await desk.run(desk.money.sweep_credits)).signalled == 0
    first = _issue(simulator, subscription, "-4", **_on(2, "SEK"))
    assert (await desk.run(desk.money.sweep_credits)).signalled == 1
    assert await desk.signals(waiting) == ["credits_changed"]
    assert (await desk.run(desk.money.match, MatchClaim(claim=waiting))).late_since_invoice == first
    # Matching goes on: the credit comes with a later invoice.
    _issue(simulator, subscription, "-10", **_on(3, "SEK"))
    await desk.run(desk.money.sweep_credits)
    found = await desk.run(desk.money.match, MatchClaim(claim=waiting))
    assert (len(found.allocations), found.late_since_invoice) == (1, None)


async def test_a_part_that_came_puts_off_lateness_to_the_invoice_after_it(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    waiting = _waiting(subscription, "10", currency="NOK")
    _issue(simulator, subscription, "-4", **_on(1, "NOK"))
    await desk.run(desk.money.sweep_credits)
    part = AllocateLine(claim=waiting, line_id=await _only_line(desk, subscription), allocation_id="part")
    await desk.run(desk.money.allocate, part)
    found = await desk.run(desk.money.match, MatchClaim(claim=waiting))
    assert (len(found.allocations), found.late_since_invoice) == (1, None)
    after = _issue(simulator, subscription, **_on(2, "NOK"))
    await desk.run(desk.money.sweep_credits)
    assert (await desk.run(desk.money.match, MatchClaim(claim=waiting))).late_since_invoice == after


async def test_a_sweep_tells_exactly_the_claims_that_get_something(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    elsewhere, third = (subscription[0], str(uuid4())), (subscription[0], str(uuid4()))
    hit, miss = _waiting(subscription, "10", currency="DKK"), _waiting(subscription, "77", currency="DKK")
    other = _waiting(elsewhere, "10", currency="DKK")
    closed = _waiting(subscription, "10", currency="DKK", status=Status.WITHDRAWN)
    ended = _waiting(third, "12", currency="DKK")
    await desk.record(hit, miss, other, closed, running=True)
    await desk.record(ended)
    _issue(simulator, subscription, "-10", **_on(0, "DKK"))
    _issue(simulator, third, "-12", **_on(0, "DKK"))
    report = await desk.run(desk.money.sweep_credits)
    assert [await desk.signals(each) for each in (hit, miss, other, closed)] == [["credits_changed"], [], [], []]
    # The workflow of the claim for the other line has ended: no error, and nobody told.
    assert report.signalled == 1


async def test_a_claim_that_knows_what_there_is_to_know_is_left_in_peace(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    _issue(simulator, subscription, "-10")
    await desk.run(desk.money.sweep_credits)
    pair = [_waiting(subscription, "10"), _waiting(subscription, "10")]
    await desk.record(*pair, running=True)
    for each in pair:
        found = await desk.run(desk.money.match, MatchClaim(claim=each))
        change = settlement.matched(each, found)
        assert change is not None
        after, _ = apply(each, change, NOW)
        await desk.record(after)
    assert (await desk.run(desk.money.sweep_credits)).signalled == 0


async def test_a_line_is_given_by_hand_whole_or_in_part(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    number = _issue(simulator, subscription, "-10")
    await desk.run(desk.money.sweep_credits)
    waiting, line_id = _waiting(subscription, "77"), await _only_line(desk, subscription)
    part = AllocateLine(
        claim=waiting, line_id=line_id, amount=Money(amount=Decimal("6.50"), currency="USD"), allocation_id="part"
    )
    given = await desk.run(desk.money.allocate, part)
    assert (given.id, given.amount, given.currency) == ("part", Decimal("6.50"), "USD")
    assert (given.invoice_id, given.by_hand) == (number, True)
    assert await desk.run(desk.money.allocate, part) == given
    rest = await desk.run(desk.money.allocate, AllocateLine(claim=waiting, line_id=line_id, allocation_id="rest"))
    assert rest.amount == Decimal("3.50")
    refusal = await desk.refusal(
        desk.money.allocate, AllocateLine(claim=waiting, line_id=line_id, allocation_id="more")
    )
    assert (refusal.rule, refusal.field) == ("line_left", "line_id")


async def test_by_hand_a_claim_is_given_no_more_than_it_lacks(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    _issue(simulator, subscription, "-777")
    await desk.run(desk.money.sweep_credits)
    waiting, line_id = _waiting(subscription, "50"), await _only_line(desk, subscription)
    too_much = AllocateLine(
        claim=waiting, line_id=line_id, amount=Money(amount=Decimal(777), currency="USD"), allocation_id="too much"
    )
    refusal = await desk.refusal(desk.money.allocate, too_much)
    assert (refusal.rule, refusal.field) == ("no_more_than_expected", "amount")
    assert "50" in refusal.message
    given = await desk.run(desk.money.allocate, AllocateLine(claim=waiting, line_id=line_id, allocation_id="by hand"))
    assert given.amount == Decimal(50)


@pytest.mark.parametrize(
    ("change", "amount", "rule", "field"),
    [
        ({"line_id": "nothing"}, None, "line_exists", "line_id"),
        ({"line_id": "of another"}, None, "line_customer", "line_id"),
        ({"line_id": "in euros"}, None, "line_currency", "line_id"),
        ({"line_id": "a charge"}, None, "line_is_credit", "line_id"),
        ({}, "10.01", "line_left", "amount"),
        ({}, "0", "amount_positive", "amount"),
        ({}, "-1", "amount_positive", "amount"),
        ({}, "1.001", "amount_exact", "amount"),
        ({}, "1 EUR", "line_currency", "amount.currency"),
    ],
)
async def test_a_line_that_cannot_be_the_claims_is_refused_by_field(
    desk: Desk, change: dict[str, str], amount: str | None, rule: str, field: str
) -> None:
    lines = [
        line("good", "10"),
        line("of another", "10", customer_id="another"),
        line("in euros", "10", currency="EUR"),
        line("a charge", "-10"),
    ]
    await desk.credits.keep_invoice(invoice(), lines)
    number, _, currency = (amount or "").partition(" ")
    money = Money(amount=number, currency=currency or "USD") if amount else None
    wanted = AllocateLine(claim=awaiting(1, "10"), line_id="good", amount=money, allocation_id="x")
    refusal = await desk.refusal(desk.money.allocate, wanted.model_copy(update=change))
    assert (refusal.rule, refusal.field) == (rule, field)
    assert await desk.credits.allocations([awaiting(1).id]) == {}


async def test_two_people_who_give_one_line_at_once_are_told_apart(desk: Desk) -> None:
    await desk.credits.keep_invoice(invoice(), [line("good", "10")])
    answers = await asyncio.gather(
        *(
            desk.run(desk.money.allocate, AllocateLine(claim=awaiting(n, "10"), line_id="good", allocation_id=f"{n}"))
            for n in (1, 2)
        ),
        return_exceptions=True,
    )
    [refused] = [answer for answer in answers if isinstance(answer, ApplicationError)]
    assert refused.type == "refused"


async def test_a_line_taken_back_goes_to_another_claim_and_not_to_the_same_again(
    desk: Desk, simulator: Simulator, subscription: tuple[str, str]
) -> None:
    _issue(simulator, subscription, "-10")
    await desk.run(desk.money.sweep_credits)
    waiting = _waiting(subscription, "77")
    given = await desk.run(
        desk.money.allocate,
        AllocateLine(claim=waiting, line_id=await _only_line(desk, subscription), allocation_id="by-hand"),
    )
    change = settlement.allocated(waiting, given)
    waiting, _ = apply(waiting, change, NOW, ANA)
    command = ReleaseCredit(actor=ANA, request_hash="0", allocation_id="by-hand", reason="Not ours")
    released, _ = apply(waiting, settlement.released(waiting, command), NOW, ANA)
    released = released.model_copy(update={"credit": released.credit.model_copy(update={"expected": (Decimal(10),)})})
    for _attempt in range(2):
        await desk.run(desk.money.release, ReleaseLine(claim_id=waiting.id, allocation_id="by-hand"))
    assert (await desk.run(desk.money.match, MatchClaim(claim=released))).allocations == ()
    other = _waiting(subscription, "10")
    assert len((await desk.run(desk.money.match, MatchClaim(claim=other))).allocations) == 1


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("legacy_suspended_within_30_days", Route.REFUNDED_IN_FULL),
        ("legacy_suspended_in_month_5", Route.CREDITED_PRO_RATA),
        ("nce_cancelled_in_window", Route.CREDITED_PRO_RATA),
    ],
)
async def test_a_cancellation_is_credited_from_what_was_charged(
    desk: Desk, simulator: Simulator, name: str, route: Route
) -> None:
    """From the charge on the invoice to the credit on a later one, as the simulated Microsoft bills them."""
    await desk.run(desk.money.sweep_credits)
    seeded = simulator.seed["subscriptions"][name]
    cancelled = claim(1, customer_id=seeded["customer_id"], subscription_id=seeded["id"])
    opening = cancelled.opening.model_copy(
        update={"category": Category.CANCELLATION, "stopped_on": date.fromisoformat(seeded["suspended_on"])}
    )
    cancelled = cancelled.model_copy(update={"opening": opening})
    found = await desk.run(desk.customers.triage, TriageRequest(claim=cancelled, now=datetime.now(UTC)))
    assert found.triage.route is route
    waiting = cancelled.model_copy(
        update={"status": Status.AWAITING_CREDIT, "commerce": Commerce(found.commerce or ""), "credit": found.credit}
    )
    matched = await desk.run(desk.money.match, MatchClaim(claim=waiting))
    assert [each.amount for each in matched.allocations] == [-Decimal(seeded["credit"])]
