"""items have a status, an owner, tags and a version, and are deleted softly

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# An expansion: older code makes and changes items without the new columns, and deletes them for good. It shows those
# that newer code has deleted; that ends with the deploy.


def upgrade() -> None:
    op.add_column("items", sa.Column("status", sa.Text(), server_default="open", nullable=False))
    op.add_column("items", sa.Column("owner_id", sa.UUID(), nullable=True))
    op.add_column("items", sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("items", sa.Column("version", sa.BigInteger(), server_default="1", nullable=False))
    op.add_column("items", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    # Not valid: nobody waits for a look at rows that were given these values just now.
    op.create_check_constraint(
        op.f("ck_items_status"), "items", "status IN ('open', 'done', 'archived')", postgresql_not_valid=True
    )
    op.create_check_constraint(
        op.f("ck_items_tags_count"), "items", "cardinality(tags) <= 20", postgresql_not_valid=True
    )
    op.create_foreign_key(
        op.f("fk_items_owner_id"),
        "items",
        "users",
        ["owner_id"],
        ["id"],
        ondelete="SET NULL",
        postgresql_not_valid=True,
    )
    op.add_column("tenant_settings", sa.Column("require_if_match", sa.Boolean(), nullable=True))


def downgrade() -> None:
    # Code that knows no deleted items would show them again.
    op.execute("DELETE FROM items WHERE deleted_at IS NOT NULL")
    op.drop_column("tenant_settings", "require_if_match")
    for column in ("deleted_at", "version", "tags", "owner_id", "status"):
        op.drop_column("items", column)
