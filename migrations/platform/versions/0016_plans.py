"""plans, and what tenants may learn and ask of the platform about themselves

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TERMS = ("limits", "features", "rate_limits")

# The tenant is that of the bound role, whatever is claimed. Without roles it is the login that asks, which may see all.
OWN_TENANT = """
CREATE FUNCTION platform.own_tenant(claimed uuid) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own uuid;
BEGIN
    IF current_setting('role') = 'none' THEN
        RETURN claimed;
    END IF;
    SELECT t.id INTO own FROM platform.tenants t WHERE t.role_name = current_setting('role');
    IF NOT FOUND THEN
        RAISE insufficient_privilege USING MESSAGE = 'only a tenant can ask about itself';
    END IF;
    RETURN own;
END
$$
"""
OWN_USAGE = """
CREATE FUNCTION platform.own_usage(claimed uuid, bucket text, since timestamptz, before timestamptz)
RETURNS TABLE (
    starts_at timestamptz, requests bigint, refused bigint, errors bigint, database_us bigint, received_bytes bigint,
    sent_bytes bigint
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT date_trunc(bucket, u.starts_at, 'UTC'), sum(u.requests)::bigint, sum(u.refused)::bigint,
           sum(u.errors)::bigint, sum(u.database_us)::bigint, sum(u.received_bytes)::bigint, sum(u.sent_bytes)::bigint
      FROM platform.tenant_usage u
     WHERE u.tenant_id = (SELECT platform.own_tenant(claimed)) AND u.starts_at >= since AND u.starts_at < before
     GROUP BY 1
     ORDER BY 1
$$
"""
OWN_SIZES = """
CREATE FUNCTION platform.own_sizes(claimed uuid, since timestamptz, before timestamptz)
RETURNS TABLE (starts_at timestamptz, measured_at timestamptz, rows bigint, bytes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.starts_at, s.measured_at, s.rows, s.bytes
      FROM platform.tenant_sizes s
     WHERE s.tenant_id = (SELECT platform.own_tenant(claimed)) AND s.starts_at >= since AND s.starts_at < before
     ORDER BY s.starts_at
$$
"""
OWN_DELETION = """
CREATE FUNCTION platform.own_deletion(claimed uuid) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.deletion_requested_at FROM platform.tenants t WHERE t.id = (SELECT platform.own_tenant(claimed))
$$
"""
REQUEST_OWN_DELETION = """
CREATE FUNCTION platform.request_own_deletion(claimed uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE platform.tenants t SET deletion_requested_at = now(), updated_at = now()
     WHERE t.id = platform.own_tenant(claimed) AND t.deletion_requested_at IS NULL;
    RETURN FOUND;
END
$$
"""
WITHDRAW_OWN_DELETION = """
CREATE FUNCTION platform.withdraw_own_deletion(claimed uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE platform.tenants t SET deletion_requested_at = NULL, updated_at = now()
     WHERE t.id = platform.own_tenant(claimed) AND t.deletion_requested_at IS NOT NULL;
    RETURN FOUND;
END
$$
"""
FUNCTIONS = {
    "platform.withdraw_own_deletion(uuid)": "lh_tenant, lh_app",
    "platform.request_own_deletion(uuid)": "lh_tenant, lh_app",
    "platform.own_deletion(uuid)": "lh_tenant, lh_app",
    "platform.own_sizes(uuid, timestamptz, timestamptz)": "lh_tenant, lh_app",
    "platform.own_usage(uuid, text, timestamptz, timestamptz)": "lh_tenant, lh_app",
    "platform.own_tenant(uuid)": None,
}


def upgrade() -> None:
    op.create_table(
        "plans",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        *_terms(),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.CheckConstraint(f"jsonb_typeof({name}) = 'object'", name=op.f(f"ck_plans_{name}")) for name in TERMS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
        sa.UniqueConstraint("name", name=op.f("uq_plans_name")),
        schema="platform",
    )
    op.execute(
        "INSERT INTO platform.plans (id, name, created_at, updated_at)"
        " VALUES ('019abcde-0000-7000-8000-000000000001', 'default', now(), now())"
    )
    for column in (
        sa.Column("plan", sa.Text(), server_default="default", nullable=False),
        *_terms(),
        sa.Column("deletion_requested_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("tenants", column, schema="platform")
    for name in TERMS:
        op.create_check_constraint(
            op.f(f"ck_tenants_{name}"), "tenants", f"jsonb_typeof({name}) = 'object'", schema="platform"
        )
    op.create_foreign_key(
        op.f("fk_tenants_plan"),
        "tenants",
        "plans",
        ["plan"],
        ["name"],
        source_schema="platform",
        referent_schema="platform",
    )
    op.create_index(op.f("ix_tenants_plan"), "tenants", ["plan"], unique=False, schema="platform")
    for function in (
        OWN_TENANT,
        OWN_USAGE,
        OWN_SIZES,
        OWN_DELETION,
        REQUEST_OWN_DELETION,
        WITHDRAW_OWN_DELETION,
    ):
        op.execute(function)
    for function, roles in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        if roles:
            op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {roles}")


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    for column in ("deletion_requested_at", "terms_version", *reversed(TERMS), "plan"):
        op.drop_column("tenants", column, schema="platform")
    op.drop_table("plans", schema="platform")


def _terms() -> list[sa.Column[object]]:
    objects = [sa.Column(name, postgresql.JSONB(), server_default="{}", nullable=False) for name in TERMS]
    return [*objects, sa.Column("terms_version", sa.BigInteger(), server_default="0", nullable=False)]
