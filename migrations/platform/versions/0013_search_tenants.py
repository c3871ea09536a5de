"""search tenants

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    words = sa.text("to_tsvector('simple', slug || ' ' || name)")
    op.create_index("ix_tenants_search", "tenants", [words], schema="platform", postgresql_using="gin")


def downgrade() -> None:
    op.drop_index("ix_tenants_search", table_name="tenants", schema="platform")
