"""jobs put off

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("times_put_off", sa.BigInteger(), server_default="0", nullable=False), schema="platform"
    )


def downgrade() -> None:
    op.drop_column("jobs", "times_put_off", schema="platform")
