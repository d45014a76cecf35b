"""Where a claim's ticket is, if it is in Azure."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("claims", sa.Column("azure_subscription_id", sa.String()))
