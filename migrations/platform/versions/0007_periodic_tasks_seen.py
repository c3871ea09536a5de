"""periodic tasks seen

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "periodic_tasks",
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        schema="platform",
    )


def downgrade() -> None:
    op.drop_column("periodic_tasks", "seen_at", schema="platform")
