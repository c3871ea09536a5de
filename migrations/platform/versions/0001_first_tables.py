"""first tables

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# What a tenant's transaction may leave in the platform. The owner's rights apply inside, and the tenant is the one whose
# role is bound, whatever the caller says: `role` is what SET ROLE set, which SECURITY DEFINER does not change.
ANNOUNCE_REVOCATION = """
CREATE FUNCTION platform.announce_revocation(subject uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO platform.registry_changes (id, tenant_id, subject, xact)
    SELECT gen_random_uuid(), t.id, announce_revocation.subject, pg_current_xact_id()::text::bigint
      FROM platform.tenants t
     WHERE t.role_name = current_setting('role');
    SELECT pg_notify('leasehold_registry', '');
END
"""


def upgrade() -> None:
    op.create_table(
        "admins",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admins")),
        sa.UniqueConstraint("name", name=op.f("uq_admins_name")),
        schema="platform",
    )
    op.create_table(
        "registry_changes",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("subject", sa.UUID(), nullable=True),
        sa.Column("xact", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_changes")),
        schema="platform",
        info={"rights": "append_only"},
    )
    op.create_index(op.f("ix_registry_changes_xact"), "registry_changes", ["xact"], unique=False, schema="platform")
    op.create_table(
        "tenant_revisions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("served_by", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_revisions")),
        sa.UniqueConstraint("revision", name=op.f("uq_tenant_revisions_revision")),
        schema="platform",
        info={"rights": "read_only"},
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("role_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cluster", sa.Text(), server_default="main", nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('vacant', 'active', 'suspended', 'maintenance', 'deleted', 'purging', 'purged')",
            name=op.f("ck_tenants_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("role_name", name=op.f("uq_tenants_role_name")),
        sa.UniqueConstraint("schema_name", name=op.f("uq_tenants_schema_name")),
        sa.UniqueConstraint("slug", name=op.f("uq_tenants_slug")),
        schema="platform",
        info={"rights": "read_update"},
    )
    op.create_table(
        "admin_tokens",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("admin_id", sa.UUID(), nullable=False),
        sa.Column("digest", postgresql.BYTEA(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["admin_id"], ["platform.admins.id"], name=op.f("fk_admin_tokens_admin_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_admin_tokens_digest")),
        schema="platform",
    )
    op.create_index(op.f("ix_admin_tokens_admin_id"), "admin_tokens", ["admin_id"], unique=False, schema="platform")
    op.create_table(
        "tenant_domains",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["platform.tenants.id"], name=op.f("fk_tenant_domains_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_domains")),
        sa.UniqueConstraint("hostname", name=op.f("uq_tenant_domains_hostname")),
        schema="platform",
    )
    op.create_index(
        op.f("ix_tenant_domains_tenant_id"), "tenant_domains", ["tenant_id"], unique=False, schema="platform"
    )
    op.execute(ANNOUNCE_REVOCATION)
    op.execute("REVOKE ALL ON FUNCTION platform.announce_revocation(uuid) FROM PUBLIC")
    op.execute("GRANT USAGE ON SCHEMA platform TO lh_tenant")
    op.execute("GRANT EXECUTE ON FUNCTION platform.announce_revocation(uuid) TO lh_tenant")


# Without the registry the tenants' schemas and roles would be orphans that nothing can find again.
REFUSE_WITH_TENANTS = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM platform.tenants) THEN
        RAISE EXCEPTION 'there are tenants: the registry cannot be taken back';
    END IF;
END $$
"""


def downgrade() -> None:
    op.execute(REFUSE_WITH_TENANTS)
    op.execute("DROP FUNCTION platform.announce_revocation(uuid)")
    op.execute("REVOKE USAGE ON SCHEMA platform FROM lh_tenant")
    op.drop_index(op.f("ix_tenant_domains_tenant_id"), table_name="tenant_domains", schema="platform")
    op.drop_table("tenant_domains", schema="platform")
    op.drop_index(op.f("ix_admin_tokens_admin_id"), table_name="admin_tokens", schema="platform")
    op.drop_table("admin_tokens", schema="platform")
    op.drop_table("tenants", schema="platform")
    op.drop_table("tenant_revisions", schema="platform")
    op.drop_index(op.f("ix_registry_changes_xact"), table_name="registry_changes", schema="platform")
    op.drop_table("registry_changes", schema="platform")
    op.drop_table("admins", schema="platform")
