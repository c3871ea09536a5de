"""find the items of an owner, for a user who is deleted leaves them

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

is_needed = False


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(op.f("ix_items_owner_id"), "items", ["owner_id"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(op.f("ix_items_owner_id"), table_name="items", postgresql_concurrently=True)
