"""audit events

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.UUID(), nullable=True),
        sa.Column("impersonator_id", sa.UUID(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target_kind", sa.Text(), nullable=True),
        sa.Column("target_id", sa.UUID(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint(
            "actor_kind IN ('user', 'client', 'key', 'admin', 'operator', 'system', 'anonymous')",
            name=op.f("ck_audit_events_actor_kind"),
        ),
        sa.CheckConstraint("outcome IN ('succeeded', 'refused')", name=op.f("ck_audit_events_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        schema="platform",
        info={"rights": "append_only"},
    )
    op.create_index(op.f("ix_audit_events_action_id"), "audit_events", ["action", "id"], schema="platform")
    op.create_index(op.f("ix_audit_events_actor_id_id"), "audit_events", ["actor_id", "id"], schema="platform")
    op.create_index(op.f("ix_audit_events_target_id_id"), "audit_events", ["target_id", "id"], schema="platform")


def downgrade() -> None:
    op.drop_table("audit_events", schema="platform")
