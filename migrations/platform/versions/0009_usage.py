"""usage

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tenant_usage",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("database_us", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_usage")),
        sa.UniqueConstraint("tenant_id", "starts_at", name=op.f("uq_tenant_usage_tenant_id_starts_at")),
        schema="platform",
    )
    op.create_index(op.f("ix_tenant_usage_starts_at"), "tenant_usage", ["starts_at"], unique=False, schema="platform")
    # The rows of the present hour change every minute, in place where their page has room.
    op.execute("ALTER TABLE platform.tenant_usage SET (fillfactor = 80)")
    op.create_table(
        "tenant_sizes",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_sizes")),
        sa.UniqueConstraint("tenant_id", "starts_at", name=op.f("uq_tenant_sizes_tenant_id_starts_at")),
        schema="platform",
    )
    op.create_index(op.f("ix_tenant_sizes_starts_at"), "tenant_sizes", ["starts_at"], unique=False, schema="platform")
    op.create_table(
        "usage_meters",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("flushed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_meters")),
        schema="platform",
    )


def downgrade() -> None:
    op.drop_table("usage_meters", schema="platform")
    op.drop_table("tenant_sizes", schema="platform")
    op.drop_table("tenant_usage", schema="platform")
