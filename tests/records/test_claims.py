"""Claims on record: newer wins, one open claim for one thing, and lists that miss and repeat nothing."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.claims import OPEN, Claim, Event, Status, WaitingOn
from domain.tickets import TicketStatus
from records.claims import ClaimRecords, DuplicateClaim, MovedOn, OpenTicket
from records.listing import ClaimFilter, Sort

from .samples import ANA, CUSTOMER, NOW, SUBSCRIPTION, awaiting, claim, document, due, entry, filing


async def _keep(records: ClaimRecords, *claims: Claim) -> None:
    for each in claims:
        await records.record(each, entry(each))


async def test_a_claim_comes_back_whole(claim_records: ClaimRecords) -> None:
    kept = claim(1, documents=(document(),), deadline=due(date(2026, 2, 15)), filing=filing("616122292874576", None))
    await _keep(claim_records, kept)
    assert await claim_records.get(kept.id) == kept
    assert await claim_records.get("claim-unknown") is None


async def test_the_newer_version_stays_whatever_the_order(claim_records: ClaimRecords) -> None:
    versions = [claim(1, version=version, assignee=f"person {version}") for version in (1, 2, 3)]
    for each in (versions[0], versions[2], versions[1], versions[2]):
        await _keep(claim_records, each)
    assert await claim_records.get(versions[0].id) == versions[2]
    assert [each.version for each in await claim_records.timeline(versions[0].id, 0, 10)] == [1, 2, 3]


async def test_versions_written_at_once_leave_the_newest_and_every_entry(claim_records: ClaimRecords) -> None:
    versions = [claim(1, version=version) for version in range(1, 9)]
    await asyncio.gather(*(claim_records.record(each, entry(each)) for each in (*versions, *versions)))
    kept = await claim_records.get(versions[0].id)
    assert kept is not None
    assert kept.version == 8
    assert [each.version for each in await claim_records.timeline(kept.id, 0, 100)] == list(range(1, 9))


async def test_the_first_entry_of_a_version_stays(claim_records: ClaimRecords) -> None:
    first = claim(1)
    await claim_records.record(first, entry(first, "first"))
    await claim_records.record(first, entry(first, "again"))
    assert [each.text for each in await claim_records.timeline(first.id, 0, 10)] == ["first"]


async def test_the_timeline_is_paged_by_version(claim_records: ClaimRecords) -> None:
    await _keep(claim_records, *(claim(1, version=version) for version in range(1, 8)))
    found = await claim_records.timeline(claim(1).id, 2, 3)
    assert [each.version for each in found] == [3, 4, 5]


async def test_a_second_open_claim_about_the_same_is_refused_and_leaves_nothing(claim_records: ClaimRecords) -> None:
    first, second = claim(1, reference="EX1"), claim(2, reference="ex1", customer_id=CUSTOMER.upper())
    await _keep(claim_records, first)
    with pytest.raises(DuplicateClaim) as refused:
        await _keep(claim_records, second)
    assert refused.value.claim_id == first.id
    assert await claim_records.get(second.id) is None
    assert await claim_records.timeline(second.id, 0, 10) == ()


async def test_of_two_claims_opened_at_once_about_the_same_one_is_refused(claim_records: ClaimRecords) -> None:
    for round_number in range(5):
        pair = [claim(10 * round_number + n, reference=f"EX{round_number}") for n in (1, 2)]
        answers = await asyncio.gather(
            *(claim_records.record(each, entry(each)) for each in pair), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, DuplicateClaim)]
        kept = [each.id for each in pair if await claim_records.get(each.id)]
        assert len(refused) == len(kept) == 1
        assert refused[0].claim_id == kept[0]


async def test_a_closed_claim_makes_room_and_a_late_old_version_does_not_take_it(claim_records: ClaimRecords) -> None:
    first, second = claim(1, reference="EX1"), claim(2, reference="EX1")
    closed = first.model_copy(update={"version": 3, "status": Status.WITHDRAWN})
    await _keep(claim_records, first, closed, second, first.model_copy(update={"version": 2}))
    assert await claim_records.get(first.id) == closed
    assert await claim_records.find_open(second.open_key or "") == second.id


async def test_reopening_a_claim_whose_place_is_taken_is_refused(claim_records: ClaimRecords) -> None:
    first, second = claim(1, reference="EX1", status=Status.DENIED), claim(2, reference="EX1")
    await _keep(claim_records, first, second)
    with pytest.raises(DuplicateClaim, match=second.id):
        await _keep(claim_records, first.model_copy(update={"version": 2, "status": Status.TRIAGING}))
    assert await claim_records.get(first.id) == first


async def test_documents_stay_referenced_when_they_are_taken_off_the_checklist(claim_records: ClaimRecords) -> None:
    with_document = claim(1, documents=(document(1, "a" * 64),))
    await _keep(claim_records, with_document, with_document.model_copy(update={"version": 2, "documents": ()}))
    assert await claim_records.referenced_blobs(["a" * 64, "b" * 64]) == {"a" * 64}
    assert await claim_records.documents(with_document.id) == with_document.documents


async def test_tickets_of_open_claims_are_told_with_what_is_known_of_them(claim_records: ClaimRecords) -> None:
    verified = claim(1, status=Status.FILED, filing=filing("616122292874571", TicketStatus.OPEN))
    unverified = claim(2, status=Status.READY_TO_FILE, filing=filing("616122292874572", None))
    closed = claim(3, status=Status.DENIED, filing=filing("616122292874573", TicketStatus.CLOSED))
    await _keep(claim_records, verified, unverified, closed, claim(4))
    assert verified.ticket is not None
    assert set(await claim_records.open_claims_with_tickets()) == {
        OpenTicket(verified.id, CUSTOMER.lower(), "616122292874571", verified.ticket.fingerprint, None),
        OpenTicket(unverified.id, CUSTOMER.lower(), "616122292874572", "", None),
    }


async def test_claims_awaiting_a_credit_are_found_by_subscription(claim_records: ClaimRecords) -> None:
    others = [awaiting(n, "10", subscription_id=f"sub-{n:02d}") for n in range(10, 17)]
    await _keep(
        claim_records,
        awaiting(1, "10", customer_id=CUSTOMER.upper()),
        awaiting(2, "12"),
        claim(3, reference="x"),
        *others,
    )
    found = [pair async for pair in claim_records.subscriptions_awaiting_credit(batch=3)]
    assert found == sorted({(CUSTOMER, SUBSCRIPTION), *((CUSTOMER, f"sub-{n:02d}") for n in range(10, 17))})
    both = await claim_records.awaiting_credit(CUSTOMER, SUBSCRIPTION.upper())
    assert [each.id for each in both] == [claim(1).id, claim(2).id]


async def test_each_sweep_keeps_its_last_success(claim_records: ClaimRecords) -> None:
    assert await claim_records.sweep_successes() == {}
    await asyncio.gather(*(claim_records.sweep_succeeded("tickets", NOW) for _ in range(3)))
    await claim_records.sweep_succeeded("credits", NOW + timedelta(hours=1))
    assert await claim_records.sweep_successes() == {"tickets": NOW, "credits": NOW + timedelta(hours=1)}


async def test_claims_are_counted_by_status(claim_records: ClaimRecords) -> None:
    await _keep(claim_records, claim(1), claim(2), claim(3, status=Status.DENIED))
    assert await claim_records.count_by_status() == {Status.TRIAGING: 2, Status.DENIED: 1}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ClaimFilter(), {1, 2, 3, 4}),
        (ClaimFilter(statuses=frozenset({Status.FILED, Status.DENIED})), {2, 3}),
        (ClaimFilter(customer_id="OTHER-CUSTOMER"), {4}),
        (ClaimFilter(due_before=due(date(2026, 2, 1)).due_at + timedelta(microseconds=1)), {2}),
        (ClaimFilter(due_before=due(date(2026, 2, 1)).due_at), set()),
        (ClaimFilter(waiting_on=WaitingOn.NOBODY), {3}),
        (ClaimFilter(assignee="bo@partner.example"), {2}),
        (ClaimFilter(text="  müller "), {4}),
        (ClaimFilter(text="CLAIM-00000000000000000003"), {3}),
        (ClaimFilter(text="616122292874576"), {2}),
        (ClaimFilter(text="ex00001"), {1}),
        (ClaimFilter(text="100%"), {3}),
        (ClaimFilter(text="100_"), set()),
        (ClaimFilter(text="%"), {3}),
        (ClaimFilter(text="\\"), set()),
        (ClaimFilter(customer_tenant=CUSTOMER.upper()), {1, 2, 3}),
        (ClaimFilter(reseller_tenant="RESELLER"), {1}),
        (ClaimFilter(customer_tenant=CUSTOMER, statuses=frozenset({Status.FILED}), text="contoso"), {2}),
    ],
)
async def test_a_filter_finds(claim_records: ClaimRecords, wanted: ClaimFilter, found: set[int]) -> None:
    await _keep(
        claim_records,
        claim(1, opened_by=ANA.model_copy(update={"tenant_id": "Reseller"})),
        claim(
            2,
            status=Status.FILED,
            assignee="bo@partner.example",
            deadline=due(date(2026, 2, 1)),
            filing=filing("616122292874576", TicketStatus.OPEN),
        ),
        claim(3, status=Status.DENIED, description="Off for 100% of users", deadline=due(date(2026, 1, 1))),
        claim(4, customer_id="other-customer", customer_name="Müller & Söhne", deadline=due(date(2026, 3, 15))),
    )
    page = await claim_records.list(wanted, Sort.OPENED_AT, None, 50)
    assert {int(each.id.removeprefix("claim-"), 16) for each in page.items} == found


_INSTANTS = st.sampled_from([None, 0, 1, 2])


@pytest.mark.parametrize("sort", list(Sort))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(_INSTANTS, min_size=1, max_size=9), size=st.integers(1, 4))
async def test_pages_show_every_claim_once_and_in_order(
    claim_records: ClaimRecords, sort: Sort, places: list[int | None], size: int
) -> None:
    customer = f"customer-{next(_examples)}"
    for place in places:
        at = NOW + timedelta(days=place or 0)
        await _keep(
            claim_records,
            claim(
                next(_examples),
                customer_id=customer,
                opened_at=at,
                status_since=at,
                status=Status.COLLECTING_EVIDENCE,
                deadline=None if place is None else due(date(2026, 1 + place, 3)),
            ),
        )
    wanted = ClaimFilter(customer_id=customer)
    shown: list[Claim] = []
    cursor: str | None = None
    while True:
        page = await claim_records.list(wanted, sort, cursor, size)
        assert len(page.items) <= size
        shown += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len({each.id for each in shown}) == len(shown) == len(places)
    instants: dict[str, Callable[[Claim], datetime | None]] = {
        "due_at": lambda each: each.deadline.due_at if each.deadline else None,
        "opened_at": lambda each: each.opened_at,
        "status_since": lambda each: each.status_since,
    }
    keys = [instants[sort.removeprefix("-")](each) for each in shown]
    dated = [key for key in keys if key is not None]
    assert keys == dated + [None] * (len(keys) - len(dated))
    assert dated == sorted(dated, reverse=sort.startswith("-"))


_examples = itertools.count(1000)


async def test_a_page_is_not_upset_by_claims_that_come_or_close_between(claim_records: ClaimRecords) -> None:
    old = [claim(n, opened_at=NOW + timedelta(hours=n)) for n in range(1, 5)]
    await _keep(claim_records, *old)
    first = await claim_records.list(ClaimFilter(), Sort.OPENED_AT_LAST_FIRST, None, 2)
    await _keep(claim_records, claim(9, opened_at=NOW + timedelta(hours=9)))
    second = await claim_records.list(ClaimFilter(), Sort.OPENED_AT_LAST_FIRST, first.next_cursor, 2)
    assert [each.id for each in (*first.items, *second.items)] == [each.id for each in reversed(old)]
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["", "nonsense", "e30", "ÄÖ", "eyJzb3J0Ijo=", "A" * 5])
async def test_what_is_no_cursor_is_refused(claim_records: ClaimRecords, cursor: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        await claim_records.list(ClaimFilter(), Sort.DUE_AT, cursor, 10)


async def test_a_cursor_of_another_order_is_refused(claim_records: ClaimRecords) -> None:
    await _keep(claim_records, claim(1), claim(2))
    page = await claim_records.list(ClaimFilter(), Sort.OPENED_AT, None, 1)
    with pytest.raises(ValueError, match="another order"):
        await claim_records.list(ClaimFilter(), Sort.OPENED_AT_LAST_FIRST, page.next_cursor, 1)


async def test_only_what_has_to_be_filed_is_due(claim_records: ClaimRecords) -> None:
    for number, status in enumerate(Status, 1):
        await _keep(claim_records, claim(number, status=status, deadline=due(date(2026, 1, 1))))
    page = await claim_records.list(ClaimFilter(due_before=NOW + timedelta(days=365)), Sort.DUE_AT, None, 50)
    assert {each.status for each in page.items} == OPEN - {Status.TRIAGING, Status.CANCEL_NOW, Status.AWAITING_CREDIT}


async def test_a_claim_taken_up_again_from_an_older_state_is_not_lost_in_silence(claim_records: ClaimRecords) -> None:
    reopened = claim(1, version=6, status=Status.TRIAGING)
    first = entry(reopened, "Reopened: one").model_copy(update={"event": Event.REOPEN})
    await claim_records.record(reopened, first)
    await _keep(claim_records, claim(1, version=7, status=Status.WITHDRAWN))
    with pytest.raises(MovedOn):
        await claim_records.record(reopened, first.model_copy(update={"at": NOW + timedelta(minutes=1)}))
    await claim_records.record(reopened, first)  # the same activity, run twice
    kept = await claim_records.timeline(reopened.id, 5, 10)
    assert [each.text for each in kept] == ["Reopened: one", "Something happened."]
