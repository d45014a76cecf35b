"""Invoice lines on record: kept whole or not at all, and never given away twice."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import date
from decimal import Decimal
from threading import Event

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.claims import Allocation
from domain.credits import CreditLine, InvoiceType
from records import tables
from records.credits import CreditRecords, NotLeft, UnknownLine
from records.database import writing

from .samples import CUSTOMER, NOW, SUBSCRIPTION, invoice, line


async def _give(
    records: CreditRecords, claim_id: str, line_id: str, amount: str, allocation_id: str | None = None
) -> Allocation:
    return await records.allocate(
        claim_id,
        line_id,
        Decimal(amount),
        allocation_id=allocation_id or f"{claim_id}-{line_id}-{amount}",
        by_hand=False,
        at=NOW,
    )


async def test_lines_come_back_as_they_were_read(credit_records: CreditRecords) -> None:
    charge = line(
        "b",
        "-48.00",
        charge_type="cycle fee",
        charge_start=date(2026, 1, 13),
        charge_end=date(2027, 1, 12),
        unit_price=Decimal("48.000001"),
        quantity=Decimal(1),
    )
    credit = line("a", "41.34")
    other = line("c", "1.00", subscription_id="another")
    assert await credit_records.keep_invoice(invoice(), [charge, credit, other])
    assert await credit_records.lines(CUSTOMER.upper(), SUBSCRIPTION.upper()) == (credit, charge)
    assert await credit_records.line("b") == charge
    assert await credit_records.line("nothing") is None


async def test_an_invoice_is_kept_once_a_version(credit_records: CreditRecords) -> None:
    assert await credit_records.keep_invoice(invoice(version="1"), [line("a", "10")])
    assert not await credit_records.keep_invoice(invoice(version="1"), [line("b", "10")])
    assert await credit_records.keep_invoice(invoice(version="2"), [line("c", "10")])
    assert await credit_records.versions() == {invoice().id: "2"}
    assert [each.id for each in await credit_records.lines(CUSTOMER, SUBSCRIPTION)] == ["c"]


async def test_an_invoice_interrupted_in_the_middle_leaves_nothing(
    credit_records: CreditRecords, database: AsyncEngine
) -> None:
    # The last line can't be kept; by then the database has taken hundreds.
    lines = [line(f"l{n:04d}", "1.00") for n in range(1200)]
    lines.append(line("l1200", "0.0000001"))
    with pytest.raises(Exception, match="at most 6 decimals"):
        await credit_records.keep_invoice(invoice(), lines)
    assert await credit_records.versions() == {}
    async with database.connect() as connection:
        assert (await connection.scalars(select(tables.credit_lines.c.id))).all() == []


async def test_a_reading_that_breaks_off_leaves_the_version_before(credit_records: CreditRecords) -> None:
    await credit_records.keep_invoice(invoice(version="1"), [line("a", "10")])

    def broken() -> Iterator[CreditLine]:
        yield line("b", "10")
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await credit_records.keep_invoice(invoice(version="2"), broken())
    assert await credit_records.versions() == {invoice().id: "1"}
    assert [each.id for each in await credit_records.lines(CUSTOMER, SUBSCRIPTION)] == ["a"]


async def test_lines_are_gone_through_once_and_a_few_at_a_time(
    credit_records: CreditRecords, database: AsyncEngine
) -> None:
    gone_through: list[str] = []

    def read_from_a_file() -> Iterator[CreditLine]:
        for n in range(1200):
            gone_through.append(f"l{n:04d}")
            yield line(f"l{n:04d}", "1.00")

    taken_before = len(gone_through)
    assert await credit_records.keep_invoice(invoice(), read_from_a_file())
    assert (taken_before, len(gone_through)) == (0, 1200)
    assert [each.id for each in await credit_records.lines(CUSTOMER, SUBSCRIPTION)] == gone_through
    assert not await credit_records.keep_invoice(invoice(), read_from_a_file())
    assert len(gone_through) == 1200


async def test_while_lines_are_still_to_come_nobody_sees_those_before(
    credit_records: CreditRecords, database: AsyncEngine
) -> None:
    await credit_records.keep_invoice(invoice(version="1"), [line("before", "10")])
    seen: list[str] = []

    async def look() -> None:
        while not seen:
            seen.extend(each.id for each in await credit_records.lines(CUSTOMER, SUBSCRIPTION))

    looking: list[Future[None]] = []
    loop = asyncio.get_running_loop()

    def many() -> Iterator[CreditLine]:
        for n in range(1200):
            if n == 1100:  # the database has had a thousand of them
                looking.append(asyncio.run_coroutine_threadsafe(look(), loop))
            yield line(f"l{n:04d}", "1.00")

    assert await credit_records.keep_invoice(invoice(version="2"), many())
    await asyncio.wrap_future(looking[0])
    assert seen in (["before"], [f"l{n:04d}" for n in range(1200)])


async def test_lines_that_take_long_to_read_hold_up_nothing_else(credit_records: CreditRecords) -> None:
    goes_on, loop = Event(), asyncio.get_running_loop()

    def slow() -> Iterator[CreditLine]:
        loop.call_soon_threadsafe(goes_on.set)
        assert goes_on.wait(10), "nothing else was done meanwhile"
        yield line("a", "10")

    assert await credit_records.keep_invoice(invoice(), slow())


async def test_two_sweeps_that_keep_one_invoice_at_once_keep_it_once(credit_records: CreditRecords) -> None:
    for number in range(5):
        of = invoice(f"G{number}")
        lines = [line(f"{number}-{n}", "5", of) for n in range(20)]
        kept = await asyncio.gather(*(credit_records.keep_invoice(of, iter(lines)) for _ in range(3)))
        assert sorted(kept) == [False, False, True]
    assert len(await credit_records.lines(CUSTOMER, SUBSCRIPTION)) == 100


async def test_a_line_is_given_in_parts_until_nothing_is_left(credit_records: CreditRecords) -> None:
    await credit_records.keep_invoice(invoice(), [line("a", "10.00")])
    first = await _give(credit_records, "claim-1", "a", "6.50")
    second = await _give(credit_records, "claim-2", "a", "3.50")
    with pytest.raises(NotLeft) as refused:
        await _give(credit_records, "claim-3", "a", "0.01")
    assert refused.value.left == 0
    assert await credit_records.allocations(["claim-1", "claim-2", "claim-3"]) == {
        "claim-1": (first,),
        "claim-2": (second,),
    }
    kept = await credit_records.line("a")
    assert kept is not None
    assert kept.left == 0


@pytest.mark.parametrize("amount", ["10.01", "0", "-1"])
async def test_more_than_is_left_or_nothing_is_refused(credit_records: CreditRecords, amount: str) -> None:
    await credit_records.keep_invoice(invoice(), [line("a", "10")])
    with pytest.raises(NotLeft):
        await _give(credit_records, "claim-1", "a", amount)


async def test_nothing_of_a_charge_is_given(credit_records: CreditRecords) -> None:
    await credit_records.keep_invoice(invoice(), [line("a", "-10")])
    with pytest.raises(NotLeft):
        await _give(credit_records, "claim-1", "a", "1")


async def test_an_unknown_line_is_refused(credit_records: CreditRecords) -> None:
    with pytest.raises(UnknownLine):
        await _give(credit_records, "claim-1", "nothing", "1")


async def test_of_claims_that_take_one_line_at_once_one_gets_it(credit_records: CreditRecords) -> None:
    for number in range(5):
        of = invoice(f"G{number}")
        await credit_records.keep_invoice(of, [line(f"l{number}", "10", of)])
        answers = await asyncio.gather(
            *(_give(credit_records, f"claim-{n}", f"l{number}", "10") for n in range(3)), return_exceptions=True
        )
        assert sum(isinstance(answer, Allocation) for answer in answers) == 1
        assert sum(isinstance(answer, NotLeft) for answer in answers) == 2
    given = await credit_records.allocations([f"claim-{n}" for n in range(3)])
    assert sum(len(each) for each in given.values()) == 5


async def test_the_same_allocation_twice_at_once_is_one(credit_records: CreditRecords) -> None:
    await credit_records.keep_invoice(invoice(), [line("a", "10")])
    answers = await asyncio.gather(*(_give(credit_records, "claim-1", "a", "4", "one") for _ in range(4)))
    assert len({answer.id for answer in answers}) == 1
    assert len((await credit_records.allocations(["claim-1"]))["claim-1"]) == 1
    kept = await credit_records.line("a")
    assert kept is not None
    assert kept.left == Decimal(6)


async def test_the_table_itself_refuses_to_give_a_line_away_twice(
    credit_records: CreditRecords, database: AsyncEngine
) -> None:
    await credit_records.keep_invoice(invoice(), [line("a", "10"), line("b", "-10")])
    for line_id, amount in (("a", "10.01"), ("a", "-0.01"), ("b", "0.01")):
        with pytest.raises(IntegrityError):
            async with writing(database) as connection:
                await connection.execute(
                    tables.credit_lines.update()
                    .where(tables.credit_lines.c.id == line_id)
                    .values(allocated=Decimal(amount))
                )


async def test_what_is_taken_back_can_be_given_again_once(credit_records: CreditRecords) -> None:
    await credit_records.keep_invoice(invoice(), [line("a", "10")])
    given = await _give(credit_records, "claim-1", "a", "10")
    assert not await credit_records.release("claim-2", given.id)
    taken = await asyncio.gather(*(credit_records.release("claim-1", given.id) for _ in range(3)))
    assert sorted(taken) == [False, False, True]
    kept = await credit_records.line("a")
    assert kept is not None
    assert kept.left == Decimal(10)
    await _give(credit_records, "claim-2", "a", "10")


async def test_a_given_line_that_the_invoice_loses_stays_with_its_claim_and_goes_to_nobody_else(
    credit_records: CreditRecords,
) -> None:
    await credit_records.keep_invoice(invoice(version="1"), [line("a", "10"), line("b", "5")])
    given = await _give(credit_records, "claim-1", "a", "6")
    await credit_records.keep_invoice(invoice(version="2"), [line("b", "5")])
    assert await credit_records.allocations(["claim-1"]) == {"claim-1": (given,)}
    assert [each.id for each in await credit_records.lines(CUSTOMER, SUBSCRIPTION)] == ["b"]
    with pytest.raises(UnknownLine):
        await _give(credit_records, "claim-2", "a", "1")


async def test_a_given_line_that_comes_again_keeps_what_is_given_of_it(credit_records: CreditRecords) -> None:
    await credit_records.keep_invoice(invoice(version="1"), [line("a", "10")])
    await _give(credit_records, "claim-1", "a", "6")
    await credit_records.keep_invoice(invoice(version="2"), [])
    await credit_records.keep_invoice(invoice(version="3"), [line("a", "10"), line("b", "5")])
    assert [(each.id, each.left) for each in await credit_records.lines(CUSTOMER, SUBSCRIPTION)] == [
        ("a", Decimal(4)),
        ("b", Decimal(5)),
    ]


async def test_a_lost_line_that_is_taken_back_is_gone(credit_records: CreditRecords, database: AsyncEngine) -> None:
    await credit_records.keep_invoice(invoice(version="1"), [line("a", "10")])
    given = await _give(credit_records, "claim-1", "a", "6")
    await credit_records.keep_invoice(invoice(version="2"), [])
    assert await credit_records.release("claim-1", given.id)
    async with database.connect() as connection:
        assert (await connection.scalars(select(tables.credit_lines.c.id))).all() == []


async def test_the_first_invoice_after_a_day_is_of_the_type_and_currency_and_no_note(
    credit_records: CreditRecords,
) -> None:
    for each in (
        invoice("G1", day=date(2026, 3, 1)),
        invoice("G2", day=date(2026, 3, 9)),
        invoice("G3", day=date(2026, 3, 8), currency="EUR"),
        invoice("D4", day=date(2026, 3, 8), invoice_type=InvoiceType.RECURRING),
        invoice("G5", day=date(2026, 3, 8), document_type="adjustment_note"),
        invoice("X6", day=date(2026, 3, 8), invoice_type=None),
    ):
        await credit_records.keep_invoice(each, [])
    first = credit_records.first_invoice_after
    assert await first(date(2026, 2, 28), InvoiceType.ONE_TIME, "USD") == "G1"
    assert await first(date(2026, 3, 1), InvoiceType.ONE_TIME, "USD") == "G2"
    assert await first(date(2026, 3, 9), InvoiceType.ONE_TIME, "USD") is None
    assert await first(date(2026, 3, 1), InvoiceType.RECURRING, "USD") == "D4"
