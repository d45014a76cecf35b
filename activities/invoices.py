"""What Microsoft says of an invoice and its lines, in the words of the records."""

from datetime import date, datetime
from decimal import Decimal

from domain.credits import CreditLine, InvoiceType
from domain.money import round_half_up
from microsoft.billing import Invoice
from microsoft.invoice_lines import LineItem
from records.credits import InvoiceRead

VOID = "void_note"
"""An invoice that Microsoft took back: nothing on it was charged or credited in the end."""

_FINEST = 6


def invoice_read(invoice: Invoice) -> InvoiceRead:
    """The invoice as it goes on record."""
    known = {kind.value: kind for kind in InvoiceType}
    return InvoiceRead(
        id=invoice.id,
        version=invoice.version,
        invoice_type=known.get(invoice.invoice_type),
        document_type=invoice.document_type,
        currency=invoice.currency.upper(),
        invoice_date=invoice.date.date(),
    )


def credit_line(line: LineItem, invoice: Invoice) -> CreditLine:
    """The line as it goes on record: before tax, and positive where it is a credit to us.

    Raises ValueError or ArithmeticError for one that makes no sense: no currency, an amount out of all proportion.
    """
    before_tax = line.total if line.subtotal is None else line.subtotal
    # New commerce bills by these two; legacy lines don't have them.
    price = line.unit_price if line.effective_unit_price is None else line.effective_unit_price
    quantity = line.quantity if line.billable_quantity is None else line.billable_quantity
    return CreditLine(
        id=line.id,
        invoice_id=invoice.id,
        invoice_type=InvoiceType.ONE_TIME if line.provider == "onetime" else InvoiceType.RECURRING,
        invoice_date=invoice.date.date(),
        customer_id=line.customer_id,
        subscription_id=line.subscription_id,
        currency=(line.currency or invoice.currency).upper(),
        amount=round_half_up(-before_tax, _FINEST),
        charge_type=line.charge_type,
        reason_code=line.credit_reason_code,
        charge_start=_day(line.charge_start),
        charge_end=_day(line.charge_end),
        unit_price=_finest(price),
        quantity=_finest(quantity),
    )


def _day(at: datetime | None) -> date | None:
    return None if at is None else at.date()


def _finest(value: Decimal | None) -> Decimal | None:
    return None if value is None else round_half_up(value, _FINEST)
