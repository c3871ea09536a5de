"""impersonations

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "impersonations",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("admin_id", sa.UUID(), nullable=False),
        sa.Column("session_id", sa.UUID(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["admin_id"], ["platform.admins.id"], name=op.f("fk_impersonations_admin_id")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["platform.admin_sessions.id"],
            name=op.f("fk_impersonations_session_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["platform.tenants.id"], name=op.f("fk_impersonations_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_impersonations")),
        schema="platform",
    )
    for column in ("session_id", "tenant_id"):
        op.create_index(
            op.f(f"ix_impersonations_{column}"), "impersonations", [column], unique=False, schema="platform"
        )


def downgrade() -> None:
    op.drop_table("impersonations", schema="platform")
