"""What is open to everybody, and what the app's login holds where it should hold nothing or something else."""

from leasehold.core.models import PLATFORM_SCHEMA
from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import Site
from leasehold.tenancy.names import APP_ROLE, OWNER_ROLE
from leasehold.tenancy.rights import HELD_RIGHTS, rights_sql

OPEN = Kind(
    "doors-open",
    "problem",
    "Everybody who can log in to this server may: {rights}.",
    "Run `leasehold db init` again, which revokes it; or as lh_owner: {revoke}",
)
FOREIGN_OWNER = Kind(
    "database-owner",
    "problem",
    "The database belongs to {owner}, not to lh_owner.",
    "Run `leasehold db init` again, or as an administrator: ALTER DATABASE {database} OWNER TO lh_owner;",
)
PATH = Kind(
    "app-search-path",
    "problem",
    "The search_path of the login of the app is {path}: a query that nobody bound to a tenant may find tables there.",
    "Run `leasehold db init` again: it sets pg_catalog, pg_temp for lh_app in this database.",
)
RIGHTS = Kind(
    "platform-rights",
    "problem",
    "What lh_app may do in the shared schema is not what this release needs: {count} statements are missing.",
    "Run `leasehold migrate all`, which gives the rights anew; or as lh_owner: {statements}",
)
_DOORS = """
SELECT right_name AS what, statement FROM (VALUES
    ('make temporary tables, which could shadow a tenant''s',
     'REVOKE TEMPORARY ON DATABASE ' || quote_ident(current_database()) || ' FROM PUBLIC;',
     has_database_privilege('public', current_database(), 'TEMPORARY')),
    ('connect to this database',
     'REVOKE CONNECT ON DATABASE ' || quote_ident(current_database()) || ' FROM PUBLIC;',
     has_database_privilege('public', current_database(), 'CONNECT')),
    ('make schemas in this database',
     'REVOKE CREATE ON DATABASE ' || quote_ident(current_database()) || ' FROM PUBLIC;',
     has_database_privilege('public', current_database(), 'CREATE')),
    ('use the schema public', 'REVOKE ALL ON SCHEMA public FROM PUBLIC;',
     EXISTS (SELECT FROM pg_catalog.pg_namespace n CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) a
              WHERE n.nspname = 'public' AND a.grantee = 0))
) AS doors (right_name, statement, is_open)
 WHERE is_open
"""
_OWNER = """
SELECT pg_catalog.pg_get_userbyid(datdba) AS owner, quote_ident(datname) AS database
  FROM pg_catalog.pg_database WHERE datname = current_database()
"""
_PATH = "SELECT current_setting('search_path')"
_SAFE_PATH = "pg_catalog, pg_temp"


async def find(site: Site) -> list[Finding]:
    """Look at the rights on the database, on the shared schema, and at the path of the app."""
    findings: list[Finding] = []
    if doors := await site.catalog.fetch(_DOORS):
        rights, revoke = ", ".join(row["what"] for row in doors), " ".join(row["statement"] for row in doors)
        findings.append(OPEN.found(rights=rights, revoke=revoke))
    (database,) = await site.catalog.fetch(_OWNER)
    if database["owner"] != OWNER_ROLE:
        findings.append(FOREIGN_OWNER.found(**database))
    path = await site.app.fetchval(_PATH)
    if path != _SAFE_PATH:
        findings.append(PATH.found(path=path or "empty"))
    held = [dict(row) for row in await site.catalog.fetch(HELD_RIGHTS, PLATFORM_SCHEMA, APP_ROLE)]
    missing = rights_sql(site.code.platform_metadata, held, schema=PLATFORM_SCHEMA, role=APP_ROLE)
    # A newer release has tables that this code does not know.
    if missing and site.platform_revision == site.code.platform_head:
        findings.append(RIGHTS.found(count=len(missing), statements="; ".join(missing) + ";"))
    return findings


CHECK = Check(
    "doors",
    "Is closed what PostgreSQL leaves open, and has the app the rights on the shared schema that it needs?",
    (OPEN, FOREIGN_OWNER, PATH, RIGHTS),
    find,
    needs_platform=False,
)
