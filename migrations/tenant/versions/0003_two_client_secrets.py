"""two client secrets

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Older code knows one secret of a client, which is the present one.
served_by = "0001"


def upgrade() -> None:
    op.add_column("api_clients", sa.Column("previous_secret_digest", postgresql.BYTEA(), nullable=True))
    op.add_column("api_clients", sa.Column("previous_secret_expires_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("api_clients", "previous_secret_expires_at")
    op.drop_column("api_clients", "previous_secret_digest")
