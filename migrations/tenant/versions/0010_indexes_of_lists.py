"""sort items by their last change, and search items and users

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

is_needed = False

ITEMS = sa.text("to_tsvector('simple', title || ' ' || description)")
USERS = sa.text("to_tsvector('simple', email || ' ' || name)")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(op.f("ix_items_updated_at_id"), "items", ["updated_at", "id"], postgresql_concurrently=True)
        op.create_index("ix_items_search", "items", [ITEMS], postgresql_using="gin", postgresql_concurrently=True)
        op.create_index("ix_users_search", "users", [USERS], postgresql_using="gin", postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_users_search", table_name="users", postgresql_concurrently=True)
        op.drop_index("ix_items_search", table_name="items", postgresql_concurrently=True)
        op.drop_index(op.f("ix_items_updated_at_id"), table_name="items", postgresql_concurrently=True)
