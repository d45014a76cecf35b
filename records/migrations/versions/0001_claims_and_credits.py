"""Claims with timeline and documents; sweeps; invoices, their lines and allocations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _instant() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "claims",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("status_since", _instant(), nullable=False),
        sa.Column("waiting_on", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("opened_by_tenant", sa.String(), nullable=False),
        sa.Column("opened_at", _instant(), nullable=False),
        sa.Column("due_at", _instant()),
        sa.Column("assignee", sa.String()),
        sa.Column("open_key", sa.String()),
        sa.Column("ticket_number", sa.String()),
        sa.Column("ticket_fingerprint", sa.String()),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_claims"),
        sa.UniqueConstraint("open_key", name="uq_claims_open_key"),
    )
    for columns in (
        ["assignee"],
        ["customer_id"],
        ["due_at"],
        ["opened_at"],
        ["opened_by_tenant"],
        ["status", "customer_id", "subscription_id"],
        ["status_since"],
    ):
        op.create_index(f"ix_claims_{'_'.join(columns)}", "claims", columns)
    op.create_table(
        "timeline",
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("claim_id", "version", name="pk_timeline"),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name="fk_timeline_claim_id"),
    )
    op.create_table(
        "documents",
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("claim_id", "id", name="pk_documents"),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name="fk_documents_claim_id"),
    )
    op.create_index("ix_documents_sha256", "documents", ["sha256"])
    op.create_table(
        "sweeps",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("succeeded_at", _instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sweeps"),
    )
    op.create_table(
        "invoices",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("invoice_type", sa.String()),
        sa.Column("document_type", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("invoice_date", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invoices"),
    )
    op.create_index(
        "ix_invoices_invoice_type_currency_invoice_date", "invoices", ["invoice_type", "currency", "invoice_date"]
    )
    op.create_table(
        "credit_lines",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("invoice_type", sa.String(), nullable=False),
        sa.Column("invoice_date", sa.Date(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("charge_type", sa.String(), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=False),
        sa.Column("charge_start", sa.Date()),
        sa.Column("charge_end", sa.Date()),
        sa.Column("unit_price", sa.BigInteger()),
        sa.Column("quantity", sa.BigInteger()),
        sa.Column("allocated", sa.BigInteger(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_credit_lines"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name="fk_credit_lines_invoice_id"),
        sa.CheckConstraint(
            "allocated >= 0 AND (allocated = 0 OR allocated <= amount)", name="ck_credit_lines_given_once"
        ),
    )
    op.create_index("ix_credit_lines_invoice_id", "credit_lines", ["invoice_id"])
    op.create_index("ix_credit_lines_customer_id_subscription_id", "credit_lines", ["customer_id", "subscription_id"])
    op.create_table(
        "allocations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("line_id", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("allocated_at", _instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_allocations"),
        sa.ForeignKeyConstraint(["line_id"], ["credit_lines.id"], name="fk_allocations_line_id"),
        sa.CheckConstraint("amount > 0", name="ck_allocations_positive"),
    )
    op.create_index("ix_allocations_claim_id", "allocations", ["claim_id"])
    op.create_index("ix_allocations_line_id", "allocations", ["line_id"])
