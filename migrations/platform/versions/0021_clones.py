"""copies of tenants

Revision ID: 0021
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tenant_clones",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("source_id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_scrubbed", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["platform.tenants.id"], name=op.f("fk_tenant_clones_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_clones")),
        schema="platform",
    )
    op.create_index(op.f("ix_tenant_clones_source_id"), "tenant_clones", ["source_id"], unique=False, schema="platform")


def downgrade() -> None:
    op.drop_index(op.f("ix_tenant_clones_source_id"), table_name="tenant_clones", schema="platform")
    op.drop_table("tenant_clones", schema="platform")
