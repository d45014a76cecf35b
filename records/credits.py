"""Invoices on record with their lines, and what claims were given of them."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice

from sqlalchemy import Row, delete, exists, insert, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.claims import Allocation
from domain.credits import CreditLine, InvoiceType
from domain.model import Frozen
from records import tables
from records.claims import ATTEMPTS
from records.database import writing

_BATCH = 500


class InvoiceRead(Frozen):
    """An invoice whose lines were read. `version` is that of Microsoft's data; `invoice_type` is None where Microsoft
    doesn't let it be known."""

    id: str
    version: str
    invoice_type: InvoiceType | None
    document_type: str
    currency: str
    invoice_date: date


class UnknownLine(LookupError):  # noqa: N818 - says what is wrong as it is
    """No invoice on record has this line."""


class NotLeft(ValueError):  # noqa: N818 - says what is wrong as it is
    """The line hasn't got that much left; `left` is what it has, before tax and in the line's currency."""

    def __init__(self, left: Decimal) -> None:
        super().__init__(f"The line has {left} left.")
        self.left = left


class CreditRecords:
    """Invoices read, their lines, and allocations, in the database of `engine`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def versions(self) -> dict[str, str]:
        """The data version at which each invoice on record was read, by invoice id."""
        columns = tables.invoices.c
        async with self._engine.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(select(columns.id, columns.version))}

    async def keep_invoice(self, invoice: InvoiceRead, lines: Iterable[CreditLine]) -> bool:
        """Keep the invoice with exactly these lines, all or nothing; False where it is on record at this version.

        The lines are gone through once, a few at a time and in other threads, and what that raises leaves everything as
        it was. A line that the invoice no longer has is removed, or, where claims were given some of it, kept for them
        and given to nobody else.
        """
        async with writing(self._engine) as connection:
            if not await _take(connection, invoice):
                return False
            await _keep_lines(connection, invoice.id, lines)
            return True

    async def lines(self, customer_id: str, subscription_id: str) -> tuple[CreditLine, ...]:
        """The lines of a subscription, charges and credits, by invoice date and id; ids are compared without case."""
        columns = tables.credit_lines.c
        statement = (
            select(tables.credit_lines)
            .where(
                columns.customer_id == customer_id.lower(),
                columns.subscription_id == subscription_id.lower(),
                columns.is_current == true(),
            )
            .order_by(columns.invoice_date, columns.id)
        )
        async with self._engine.connect() as connection:
            return tuple(_line(row) for row in await connection.execute(statement))

    async def line(self, line_id: str) -> CreditLine | None:
        """One line; None where no invoice on record has it."""
        async with self._engine.connect() as connection:
            return await _find(connection, line_id)

    async def first_invoice_after(self, day: date, invoice_type: InvoiceType, currency: str) -> str | None:
        """The id of the earliest invoice of that type and currency dated after `day`; notes to invoices don't count."""
        columns = tables.invoices.c
        statement = (
            select(columns.id)
            .where(
                columns.invoice_type == invoice_type,
                columns.currency == currency,
                columns.invoice_date > day,
                columns.document_type.in_(("invoice", "none", "")),
            )
            .order_by(columns.invoice_date, columns.id)
            .limit(1)
        )
        async with self._engine.connect() as connection:
            found: str | None = await connection.scalar(statement)
        return found

    async def allocations(self, claim_ids: Sequence[str]) -> dict[str, tuple[Allocation, ...]]:
        """What each of these claims was given, oldest first; a claim that was given nothing isn't there."""
        columns = tables.allocations.c
        statement = (
            select(tables.allocations).where(columns.claim_id.in_(claim_ids)).order_by(columns.allocated_at, columns.id)
        )
        found: dict[str, tuple[Allocation, ...]] = {}
        async with self._engine.connect() as connection:
            for row in await connection.execute(statement):
                found[row.claim_id] = (*found.get(row.claim_id, ()), _allocation(row))
        return found

    async def allocate(
        self, claim_id: str, line_id: str, amount: Decimal, *, allocation_id: str, by_hand: bool, at: datetime
    ) -> Allocation:
        """Give the claim `amount` (before tax, positive) of a line. With an `allocation_id` that is on record this
        changes nothing and gives that allocation.

        Raises UnknownLine, and NotLeft where the line hasn't got so much left.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with writing(self._engine) as connection:
                    return await _allocate(connection, claim_id, line_id, amount, allocation_id, by_hand, at)
            except IntegrityError:
                # The constraint stopped one of two at once; looking again says which of the two this was.
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    async def release(self, claim_id: str, allocation_id: str) -> bool:
        """Take an allocation of the claim back; False where it has none with that id."""
        columns = tables.allocations.c
        async with writing(self._engine) as connection:
            taken = (
                await connection.execute(
                    delete(tables.allocations)
                    .where(columns.id == allocation_id, columns.claim_id == claim_id)
                    .returning(columns.line_id, columns.amount)
                )
            ).one_or_none()
            if taken is None:
                return False
            lines = tables.credit_lines
            await connection.execute(
                update(lines).where(lines.c.id == taken.line_id).values(allocated=lines.c.allocated - taken.amount)
            )
            # Kept for this claim alone: Microsoft's invoice no longer has it.
            await connection.execute(
                delete(lines).where(
                    lines.c.id == taken.line_id,
                    lines.c.is_current.is_(False),
                    ~exists().where(columns.line_id == lines.c.id),
                )
            )
            return True


async def _take(connection: AsyncConnection, invoice: InvoiceRead) -> bool:
    """Puts the invoice on record at its version; False where it is there already."""
    columns, values = tables.invoices.c, invoice.model_dump()
    try:
        async with connection.begin_nested():
            await connection.execute(insert(tables.invoices).values(**values))
    except IntegrityError:
        # There before, or kept by another sweep a moment ago, which has ended: the database made this one wait for it.
        kept = await connection.scalar(select(columns.version).where(columns.id == invoice.id).with_for_update())
        if kept == invoice.version:
            return False
        await connection.execute(update(tables.invoices).where(columns.id == invoice.id).values(**values))
    return True


async def _keep_lines(connection: AsyncConnection, invoice_id: str, lines: Iterable[CreditLine]) -> None:
    columns = tables.credit_lines.c
    of_invoice = columns.invoice_id == invoice_id
    given = exists().where(tables.allocations.c.line_id == columns.id)
    await connection.execute(delete(tables.credit_lines).where(of_invoice, ~given))
    await connection.execute(update(tables.credit_lines).where(of_invoice).values(is_current=False))
    # What is still there was given to claims: a line that comes again keeps what they have of it.
    there = frozenset(await connection.scalars(select(columns.id).where(of_invoice)))
    coming = iter(lines)
    # Elsewhere: whatever it takes to read the next lines, this process goes on with everything else.
    while batch := await asyncio.to_thread(lambda: list(islice(coming, _BATCH))):
        again = [line.id for line in batch if line.id in there]
        if again:
            await connection.execute(update(tables.credit_lines).where(columns.id.in_(again)).values(is_current=True))
        new = [
            line.model_dump() | {"allocated": Decimal(0), "is_current": True} for line in batch if line.id not in there
        ]
        if new:
            await connection.execute(insert(tables.credit_lines), new)


async def _allocate(
    connection: AsyncConnection,
    claim_id: str,
    line_id: str,
    amount: Decimal,
    allocation_id: str,
    by_hand: bool,
    at: datetime,
) -> Allocation:
    done = (
        await connection.execute(select(tables.allocations).where(tables.allocations.c.id == allocation_id))
    ).one_or_none()
    if done is not None:
        return _allocation(done)
    line = await _find(connection, line_id)
    if line is None:
        raise UnknownLine(line_id)
    if not 0 < amount <= line.left:
        raise NotLeft(line.left)
    # Between that look and this write another may have taken it: the table's constraint decides.
    lines = tables.credit_lines
    await connection.execute(update(lines).where(lines.c.id == line_id).values(allocated=lines.c.allocated + amount))
    given = Allocation(
        id=allocation_id,
        line_id=line_id,
        invoice_id=line.invoice_id,
        amount=amount,
        currency=line.currency,
        by_hand=by_hand,
    )
    await connection.execute(
        insert(tables.allocations).values(claim_id=claim_id, allocated_at=at, **given.model_dump())
    )
    return given


async def _find(connection: AsyncConnection, line_id: str) -> CreditLine | None:
    columns = tables.credit_lines.c
    row = (
        await connection.execute(select(tables.credit_lines).where(columns.id == line_id, columns.is_current == true()))
    ).one_or_none()
    return None if row is None else _line(row)


def _line(row: Row[tuple[object, ...]]) -> CreditLine:
    return CreditLine.model_validate({name: row._mapping[name] for name in CreditLine.model_fields})


def _allocation(row: Row[tuple[object, ...]]) -> Allocation:
    return Allocation.model_validate({name: row._mapping[name] for name in Allocation.model_fields})
