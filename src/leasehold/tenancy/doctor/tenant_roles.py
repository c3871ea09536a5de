"""The roles of the tenants, as far as the catalogs show them: one question each for all of them together."""

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind, named
from leasehold.tenancy.doctor.site import Site
from leasehold.tenancy.names import APP_ROLE, TENANT_GROUP

NO_ROLE = Kind(
    "tenant-role-missing",
    "problem",
    "The app cannot take on the role of {tenants}: every request of theirs fails.",
    "Restore the roles from `pg_dumpall --roles-only`; or make them, and GRANT lh_tenant TO role WITH INHERIT TRUE, "
    "SET FALSE; GRANT role TO lh_app WITH INHERIT FALSE, SET TRUE; then `leasehold migrate drift --all` says what "
    "rights they lack.",
)
TOO_MIGHTY = Kind(
    "tenant-role-too-mighty",
    "problem",
    "The role of {tenants} may more than work in one schema.",
    "Take off its attributes (ALTER ROLE role NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS) "
    "and its memberships in other roles than lh_tenant.",
)
APP_INSIDE = Kind(
    "app-in-tenant-schema",
    "problem",
    "The login of the app, or everybody, has rights on the schema of {tenants} without taking on a role.",
    "As lh_owner: REVOKE ALL ON SCHEMA schema FROM PUBLIC, lh_app; for each of them.",
)
_HAS_SCHEMA = "t.state NOT IN ('purging', 'purged')"
_NO_ROLE = f"""
SELECT t.slug FROM platform.tenants t LEFT JOIN pg_catalog.pg_roles r ON r.rolname = t.role_name
 WHERE {_HAS_SCHEMA} AND (r.oid IS NULL OR NOT EXISTS (
       SELECT FROM pg_catalog.pg_auth_members m
        WHERE m.roleid = r.oid AND m.set_option AND m.member = to_regrole($1)))
 ORDER BY t.id
"""
_TOO_MIGHTY = f"""
SELECT t.slug FROM platform.tenants t JOIN pg_catalog.pg_roles r ON r.rolname = t.role_name
 WHERE {_HAS_SCHEMA}
   AND (r.rolsuper OR r.rolcanlogin OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
        OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m
                    WHERE m.member = r.oid AND m.roleid <> to_regrole($1)))
 ORDER BY t.id
"""
_APP_INSIDE = f"""
SELECT t.slug FROM platform.tenants t JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema_name
 WHERE {_HAS_SCHEMA} AND EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) a
                                  WHERE a.grantee = 0 OR a.grantee = to_regrole($1))
 ORDER BY t.id
"""


async def find(site: Site) -> list[Finding]:
    """Compare the roles of all tenants with what provisioning makes."""
    if not site.settings.tenant_roles:
        return []
    questions = (
        (NO_ROLE, _NO_ROLE, APP_ROLE),
        (TOO_MIGHTY, _TOO_MIGHTY, TENANT_GROUP),
        (APP_INSIDE, _APP_INSIDE, APP_ROLE),
    )
    findings: list[Finding] = []
    for kind, question, role in questions:
        if slugs := [row["slug"] for row in await site.catalog.fetch(question, role)]:
            findings.append(kind.found(tenants=named(slugs)))
    return findings


CHECK = Check(
    "tenant-roles",
    "Has each tenant a role that the app can take on, and that may do nothing elsewhere?",
    (NO_ROLE, TOO_MIGHTY, APP_INSIDE),
    find,
)
