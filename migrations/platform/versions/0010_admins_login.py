"""admins' own login

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# What there was to be held when admins had no scopes of their own. Their tokens hold them down as before.
GIVE_SCOPES = """
UPDATE platform.admins SET scopes = ARRAY[
    'platform:audit:read', 'platform:fleet:read', 'platform:jobs:read', 'platform:jobs:write',
    'platform:tenants:read', 'platform:tenants:write']
"""


def upgrade() -> None:
    op.add_column(
        "admins",
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        schema="platform",
    )
    op.execute(GIVE_SCOPES)
    op.add_column("admin_tokens", sa.Column("last_used_at", sa.DateTime(timezone=True)), schema="platform")
    op.create_table(
        "admin_logins",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("admin_id", sa.UUID(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("setup_digest", postgresql.BYTEA(), nullable=True),
        sa.Column("setup_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("totp_wrapped", postgresql.BYTEA(), nullable=True),
        sa.Column("totp_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("totp_last_step", sa.BigInteger(), nullable=False),
        sa.Column("recovery_wrapped", postgresql.BYTEA(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["admin_id"], ["platform.admins.id"], name=op.f("fk_admin_logins_admin_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_logins")),
        sa.UniqueConstraint("admin_id", name=op.f("uq_admin_logins_admin_id")),
        sa.UniqueConstraint("setup_digest", name=op.f("uq_admin_logins_setup_digest")),
        schema="platform",
    )
    op.create_table(
        "admin_sessions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("admin_id", sa.UUID(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "end_reason IN ('logged_out', 'password_changed', 'revoked')", name=op.f("ck_admin_sessions_end_reason")
        ),
        sa.ForeignKeyConstraint(["admin_id"], ["platform.admins.id"], name=op.f("fk_admin_sessions_admin_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_sessions")),
        schema="platform",
    )
    op.create_index(op.f("ix_admin_sessions_admin_id"), "admin_sessions", ["admin_id"], unique=False, schema="platform")
    op.create_table(
        "attempts",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("key", postgresql.BYTEA(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("key", name=op.f("uq_attempts_key")),
        schema="platform",
    )


def downgrade() -> None:
    op.drop_table("attempts", schema="platform")
    op.drop_index(op.f("ix_admin_sessions_admin_id"), table_name="admin_sessions", schema="platform")
    op.drop_table("admin_sessions", schema="platform")
    op.drop_table("admin_logins", schema="platform")
    op.drop_column("admin_tokens", "last_used_at", schema="platform")
    op.drop_column("admins", "scopes", schema="platform")
