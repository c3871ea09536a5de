"""restores in the place of a tenant

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BEFORE = "'vacant', 'active', 'suspended', 'maintenance', 'deleted', 'purging', 'purged'"


def upgrade() -> None:
    _let_states_be(f"{BEFORE}, 'set_aside'")
    op.create_table(
        "tenant_restores",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("aside_id", sa.UUID(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("role_name", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_undone", sa.Boolean(), server_default="false", nullable=False),
        sa.ForeignKeyConstraint(["aside_id"], ["platform.tenants.id"], name=op.f("fk_tenant_restores_aside_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["platform.tenants.id"], name=op.f("fk_tenant_restores_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_restores")),
        sa.UniqueConstraint("aside_id", name=op.f("uq_tenant_restores_aside_id")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_tenant_restores_tenant_id")),
        schema="platform",
        info={"rights": "read_only"},
    )


def downgrade() -> None:
    op.drop_table("tenant_restores", schema="platform")
    _let_states_be(BEFORE)


def _let_states_be(states: str) -> None:
    # Nobody relies on it who does not know the states that it lets be.
    op.execute("-- squawk-ignore ban-drop-constraint\nALTER TABLE platform.tenants DROP CONSTRAINT ck_tenants_state")
    op.create_check_constraint(op.f("ck_tenants_state"), "tenants", f"state IN ({states})", schema="platform")
