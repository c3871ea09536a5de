"""The three shared roles: what each may do, and of whom the app's login is a member."""

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind, named
from leasehold.tenancy.doctor.site import Site
from leasehold.tenancy.names import APP_ROLE, OWNER_ROLE, TENANT_GROUP

_INIT = "Run `leasehold db init` again: it changes nothing that is right."
MISSING = Kind("role-missing", "problem", "There is no role {role}.", _INIT)
TOO_MIGHTY = Kind(
    "role-too-mighty",
    "problem",
    "The role {role} has {attributes}: what is refused to it otherwise is allowed.",
    "ALTER ROLE {role} {taken};",
)
LACKS = Kind(
    "role-lacks",
    "problem",
    "The role {role} lacks {attributes}.",
    "ALTER ROLE {role} {attributes};",
)
INHERITS = Kind(
    "app-inherits",
    "problem",
    "The login lh_app inherits what these roles may do, without taking them on: {roles}.",
    "As an administrator: GRANT role TO lh_app WITH INHERIT FALSE, SET TRUE; for each of them.",
)
STRANGER = Kind(
    "app-is-member",
    "problem",
    "The login lh_app is a member of roles that are no tenant's: {roles}.",
    "As an administrator: REVOKE role FROM lh_app; for each of them.",
)
NO_ADMIN = Kind(
    "owner-cannot-grant",
    "problem",
    "The login lh_owner may not grant lh_tenant, so that no tenant can be made.",
    _INIT,
)
_ATTRIBUTES = {
    "SUPERUSER": "rolsuper",
    "CREATEROLE": "rolcreaterole",
    "CREATEDB": "rolcreatedb",
    "REPLICATION": "rolreplication",
    "BYPASSRLS": "rolbypassrls",
    "LOGIN": "rolcanlogin",
}
_WANTED = {OWNER_ROLE: {"LOGIN", "CREATEROLE"}, APP_ROLE: {"LOGIN"}, TENANT_GROUP: set[str]()}
_ROLES = f"SELECT rolname, {', '.join(_ATTRIBUTES.values())} FROM pg_catalog.pg_roles WHERE rolname = ANY($1)"
_MEMBERSHIPS = """
SELECT g.rolname AS role, m.inherit_option AS inherits,
       g.rolname !~ '^lh_t_[0-9a-f]{32}$' AND g.rolname !~ '^lh_reference_[0-9]+$' AS is_strange
  FROM pg_catalog.pg_auth_members m
  JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
  JOIN pg_catalog.pg_roles a ON a.oid = m.member
 WHERE a.rolname = $1 AND (m.inherit_option OR g.rolname !~ '^lh_t_[0-9a-f]{32}$')
 ORDER BY g.rolname
"""
_MAY_GRANT = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_auth_members m
      JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
      JOIN pg_catalog.pg_roles o ON o.oid = m.member
     WHERE g.rolname = $1 AND o.rolname = $2 AND m.admin_option)
"""


async def find(site: Site) -> list[Finding]:
    """Compare the shared roles with what `leasehold db init` makes."""
    findings: list[Finding] = []
    rows = {row["rolname"]: row for row in await site.catalog.fetch(_ROLES, list(_WANTED))}
    for role, wanted in _WANTED.items():
        if role not in rows:
            findings.append(MISSING.found(role=role))
            continue
        has = {name for name, column in _ATTRIBUTES.items() if rows[role][column]}
        if too_much := sorted(has - wanted):
            taken = " ".join(f"NO{name}" for name in too_much)
            findings.append(TOO_MIGHTY.found(role=role, attributes=", ".join(too_much), taken=taken))
        if too_little := sorted(wanted - has):
            findings.append(LACKS.found(role=role, attributes=" ".join(too_little)))
    memberships = await site.catalog.fetch(_MEMBERSHIPS, APP_ROLE)
    if inherited := [row["role"] for row in memberships if row["inherits"]]:
        findings.append(INHERITS.found(roles=named(inherited)))
    if strange := [row["role"] for row in memberships if row["is_strange"]]:
        findings.append(STRANGER.found(roles=named(strange)))
    if set(rows) == set(_WANTED) and not await site.catalog.fetchval(_MAY_GRANT, TENANT_GROUP, OWNER_ROLE):
        findings.append(NO_ADMIN.found())
    return findings


CHECK = Check(
    "roles",
    "May the shared roles do what they need, and no more?",
    (MISSING, TOO_MIGHTY, LACKS, INHERITS, STRANGER, NO_ADMIN),
    find,
    needs_platform=False,
)
