"""Claims, invoices and lines to test with."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from domain import deadlines
from domain.claims import (
    Claim,
    Contact,
    CreditState,
    Decision,
    Entry,
    Event,
    Filing,
    Incident,
    Opening,
    Outcome,
    RaisedBy,
    Status,
)
from domain.credits import CreditLine, InvoiceType
from domain.evidence import Document, EvidenceKind
from domain.policy import Category, Commerce
from domain.roles import Actor, Role
from domain.tickets import Ticket, TicketStatus, fingerprint
from records.credits import InvoiceRead

CUSTOMER = "0c1b9f5e-1d1e-4b0e-9a70-3f5f2c3f0a01"
SUBSCRIPTION = "a4c1340d-6911-4758-bba3-0c4c6007d161"
PARTNER = "5f4dcc3b-0000-4000-8000-000000000001"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANA = Actor(subject="ana", name="Ana Admin", role=Role.ADMIN_AGENT, tenant_id=PARTNER)


def claim(number: int = 1, **changes: object) -> Claim:
    """A claim of 15 February. `customer_id`, `subscription_id`, `reference` and `description` go into its opening, the
    rest replaces its fields."""
    opening = Opening(
        customer_id=str(changes.pop("customer_id", CUSTOMER)),
        subscription_id=str(changes.pop("subscription_id", SUBSCRIPTION)),
        category=Category.SERVICE_OUTAGE,
        incident=Incident(
            date=date(2026, 2, 15),
            reference=str(changes.pop("reference", f"EX{number:05d}")),
            description=str(changes.pop("description", "Mail stood still.")),
        ),
        raised_by=RaisedBy.PARTNER,
        contact=Contact(name="Ana Admin", email="ana@partner.example"),
    )
    made = Claim(
        id=f"claim-{number:020x}",
        opening=opening,
        opened_by=ANA,
        opened_at=NOW,
        request_hash="0" * 64,
        customer_name="Contoso",
        version=1,
        status_since=NOW,
    )
    return made.model_copy(update=changes)


def entry(of: Claim, text: str = "Something happened.") -> Entry:
    """The entry of the timeline that belongs to this version of a claim."""
    return Entry(version=of.version, at=NOW, event=Event.ASSIGN, status=of.status, actor=ANA, text=text)


def due(day: date) -> deadlines.Deadline:
    """The deadline of an outage on that day."""
    return deadlines.resolve(Category.SERVICE_OUTAGE, Commerce.NEW_COMMERCE, day)


def awaiting(number: int = 1, *amounts: str, currency: str = "USD", **changes: object) -> Claim:
    """A claim that awaits one of these amounts, which Microsoft granted it on 20 February 2026."""
    credit = CreditState(
        expected=tuple(Decimal(amount) for amount in amounts), currency=currency, since=date(2026, 2, 20)
    )
    decision = Decision(
        outcome=Outcome.APPROVED, amount=None, reason="Approved", decided_at=NOW - timedelta(days=10), recorded_by=ANA
    )
    fields = {
        "status": Status.AWAITING_CREDIT,
        "commerce": Commerce.NEW_COMMERCE,
        "decision": decision,
        "credit": credit,
        **changes,
    }
    return claim(number, **fields)


def filing(number: str, ticket_status: TicketStatus | None, modified: datetime = NOW) -> Filing:
    """A filing by Ana, verified where `ticket_status` says how the ticket stands."""
    ticket = None
    if ticket_status is not None:
        ticket = Ticket(
            number=number,
            title="Credit request",
            status=ticket_status,
            customer_id=CUSTOMER,
            created_at=NOW,
            modified_at=modified,
            fingerprint=fingerprint(ticket_status, modified),
        )
    return Filing(number=number, recorded_at=NOW, recorded_by=ANA, give_up_at=NOW, ticket=ticket)


def document(number: int = 1, sha256: str = "a" * 64) -> Document:
    """A form, attached by Ana."""
    return Document(
        id=f"doc-{number}",
        kind=EvidenceKind.CREDIT_REQUEST_FORM,
        filename="form.pdf",
        media_type="application/pdf",
        size=3,
        sha256=sha256,
        attached_at=NOW,
        attached_by=ANA,
    )


def invoice(
    number: str = "G000000001", version: str = "1", day: date = date(2026, 3, 5), **changes: object
) -> InvoiceRead:
    """An invoice of new commerce in US dollars."""
    made = InvoiceRead(
        id=number,
        version=version,
        invoice_type=InvoiceType.ONE_TIME,
        document_type="invoice",
        currency="USD",
        invoice_date=day,
    )
    return made.model_copy(update=changes)


def line(number: str, amount: str, of: InvoiceRead | None = None, **changes: object) -> CreditLine:
    """A credit (negative: a charge) for the subscription, as a credit granted on a claim is called."""
    of = of or invoice()
    made = CreditLine(
        id=number,
        invoice_id=of.id,
        invoice_type=of.invoice_type or InvoiceType.ONE_TIME,
        invoice_date=of.invoice_date,
        customer_id=CUSTOMER,
        subscription_id=SUBSCRIPTION,
        currency=of.currency,
        amount=Decimal(amount),
        charge_type="customercredit",
    )
    return made.model_copy(update=changes)
