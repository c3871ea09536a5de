"""one statement that records in a tenant what is done to it

Revision ID: 0018
Revises: 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# It has the rights of whoever calls it, which for a tenant's tables are those of the tenant's role and no others.
# `as_role` is 'none' where tenants have no roles. The columns are those of the platform's log. A schema that is older than the log of the tenants has none.
RECORD_IN_TENANT = """
CREATE FUNCTION platform.record_in_tenant(home text, as_role text, event jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    log text := format('%I.audit_events', home);
    columns text := (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_object_keys(event) AS k);
BEGIN
    PERFORM set_config('role', as_role, true);
    IF to_regclass(log) IS NOT NULL THEN
        EXECUTE format(
            'INSERT INTO %s (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::platform.audit_events, $1)',
            log, columns
        ) USING event;
    END IF;
    PERFORM set_config('role', 'none', true);
END
$$
"""


def upgrade() -> None:
    op.execute(RECORD_IN_TENANT)
    op.execute("REVOKE ALL ON FUNCTION platform.record_in_tenant(text, text, jsonb) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION platform.record_in_tenant(text, text, jsonb) TO lh_app")


def downgrade() -> None:
    op.execute("DROP FUNCTION platform.record_in_tenant(text, text, jsonb)")
