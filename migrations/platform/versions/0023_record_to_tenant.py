"""events of a tenant are recorded by its id, and no role is taken on for them

Revision ID: 0023
Revises: 0022
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# It has the rights of the owner, and is told no schema: it reads from the registry where the tenant lives, and keeps it
# there to the end of the transaction. `record_in_tenant` took on the tenant's role, for which a connection reads the
# memberships of its login anew after each tenant that is made; it stays for processes of the release before.
# A schema that is older than the log of the tenants has none.
RECORD_TO_TENANT = """
CREATE FUNCTION platform.record_to_tenant(told uuid, event jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    home text;
    log text;
    columns text := (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_object_keys(event) AS k);
BEGIN
    SELECT t.schema_name INTO STRICT home FROM platform.tenants t WHERE t.id = told FOR SHARE;
    log := format('%I.audit_events', home);
    IF to_regclass(log) IS NOT NULL THEN
        EXECUTE format(
            'INSERT INTO %s (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::platform.audit_events, $1)',
            log, columns
        ) USING event;
    END IF;
END
$$
"""


def upgrade() -> None:
    op.execute(RECORD_TO_TENANT)
    op.execute("REVOKE ALL ON FUNCTION platform.record_to_tenant(uuid, jsonb) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION platform.record_to_tenant(uuid, jsonb) TO lh_app")


def downgrade() -> None:
    op.execute("DROP FUNCTION platform.record_to_tenant(uuid, jsonb)")
