"""The tables of the records. What is filtered, sorted or joined is a column; the rest is kept whole, as JSON."""

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

_MILLIONTHS = 6
_LARGEST = 2**63 - 1


class MoneyColumn(TypeDecorator[Decimal]):
    """An amount in millionths, exact on every database. Raises ValueError for one that is finer, or over nine
    trillion."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        millionths = value.scaleb(_MILLIONTHS)
        if millionths != millionths.to_integral_value() or abs(millionths) > _LARGEST:
            raise ValueError("an amount on record has at most 6 decimals and is below nine trillion")
        return int(millionths)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        amount = Decimal(value).scaleb(-_MILLIONTHS).normalize()
        exponent = amount.as_tuple().exponent
        # 48.00 and not 48, nor 4.8E+1: what is written is what people read.
        return amount.quantize(Decimal("0.01")) if isinstance(exponent, int) and exponent > -2 else amount


class InstantColumn(TypeDecorator[datetime]):
    """An aware instant, UTC on every database (SQLite keeps no zone). Raises ValueError for a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant on record has a zone")
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

claims = Table(
    "claims",
    metadata,
    Column("id", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("status_since", InstantColumn, nullable=False, index=True),
    Column("waiting_on", String, nullable=False),
    Column("customer_id", String, nullable=False),  # ids in lower case: Microsoft writes one GUID both ways
    Column("subscription_id", String, nullable=False),
    Column("opened_by_tenant", String, nullable=False, index=True),
    Column("opened_at", InstantColumn, nullable=False, index=True),
    Column("due_at", InstantColumn, index=True),
    Column("assignee", String, index=True),
    Column("open_key", String, unique=True),  # two open claims are never about the same thing
    Column("ticket_number", String),
    Column("ticket_fingerprint", String),
    Column("azure_subscription_id", String),  # where the ticket is, if it isn't at Partner Center
    Column("search_text", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "status", "customer_id", "subscription_id"),
    Index(None, "customer_id"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("claim_id", String, ForeignKey("claims.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("body", Text, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("claim_id", String, ForeignKey("claims.id"), primary_key=True),
    Column("id", String, primary_key=True),
    Column("sha256", String, nullable=False, index=True),
    Column("body", Text, nullable=False),
)
"""Every document that ever counted, those taken off the checklist included."""

sweeps = Table(
    "sweeps",
    metadata,
    Column("name", String, primary_key=True),
    Column("succeeded_at", InstantColumn, nullable=False),
)

invoices = Table(
    "invoices",
    metadata,
    Column("id", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("invoice_type", String),
    Column("document_type", String, nullable=False),
    Column("currency", String, nullable=False),
    Column("invoice_date", Date, nullable=False),
    Index(None, "invoice_type", "currency", "invoice_date"),
)

credit_lines = Table(
    "credit_lines",
    metadata,
    Column("id", String, primary_key=True),
    Column("invoice_id", String, ForeignKey("invoices.id"), nullable=False, index=True),
    Column("invoice_type", String, nullable=False),
    Column("invoice_date", Date, nullable=False),
    Column("customer_id", String, nullable=False),
    Column("subscription_id", String, nullable=False),
    Column("currency", String, nullable=False),
    Column("amount", MoneyColumn, nullable=False),  # before tax; positive is a credit, negative a charge
    Column("charge_type", String, nullable=False),
    Column("reason_code", String, nullable=False),
    Column("charge_start", Date),
    Column("charge_end", Date),
    Column("unit_price", MoneyColumn),
    Column("quantity", MoneyColumn),
    Column("allocated", MoneyColumn, nullable=False),
    Column("is_current", Boolean, nullable=False),  # False once Microsoft's invoice no longer has it
    # A line is never given away twice. A charge is a negative line: nothing of it can be given.
    CheckConstraint("allocated >= 0 AND (allocated = 0 OR allocated <= amount)", name="given_once"),
    Index(None, "customer_id", "subscription_id"),
)

allocations = Table(
    "allocations",
    metadata,
    Column("id", String, primary_key=True),
    Column("claim_id", String, nullable=False, index=True),
    Column("line_id", String, ForeignKey("credit_lines.id"), nullable=False, index=True),
    Column("invoice_id", String, nullable=False),
    Column("amount", MoneyColumn, nullable=False),
    Column("currency", String, nullable=False),
    Column("by_hand", Boolean, nullable=False),
    Column("allocated_at", InstantColumn, nullable=False),
    CheckConstraint("amount > 0", name="positive"),
)
