"""states of tenants

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_tenants_vacant", ["id"], "state = 'vacant'"),
    ("ix_tenants_purge_at", ["purge_at"], "state IN ('deleted', 'purging')"),
)


def upgrade() -> None:
    is_read_only = sa.Column("is_read_only", sa.Boolean(), server_default="false", nullable=False)
    op.add_column("tenants", is_read_only, schema="platform")
    for name, kind in (
        ("maintenance_ends_at", sa.DateTime(timezone=True)),
        ("deleted_from", sa.Text()),
        ("purge_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("tenants", sa.Column(name, kind, nullable=True), schema="platform")
    for name, columns, condition in INDEXES:
        op.create_index(name, "tenants", columns, schema="platform", postgresql_where=sa.text(condition))
    # Nobody has said when those shall be purged that were deleted before there was a grace; they get all of it.
    op.execute(
        "UPDATE platform.tenants SET deleted_from = 'active', purge_at = now() + interval '30 days' "
        "WHERE state = 'deleted'"
    )
    op.create_table(
        "tenant_purges",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("row_counts", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_purges")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_tenant_purges_tenant_id")),
        schema="platform",
        info={"rights": "read_only"},
    )


def downgrade() -> None:
    op.drop_table("tenant_purges", schema="platform")
    for name, _, _ in INDEXES:
        op.drop_index(name, table_name="tenants", schema="platform")
    for name in ("purge_at", "deleted_from", "maintenance_ends_at", "is_read_only"):
        op.drop_column("tenants", name, schema="platform")
