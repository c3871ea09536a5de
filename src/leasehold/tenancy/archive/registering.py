"""Gives an imported tenant its place in the registry, before anything is made for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from msgspec.structs import replace
from sqlalchemy.exc import DBAPIError

from leasehold.config import windows_of
from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.core.sqlstate import problem_of_driver
from leasehold.tenancy.archive.manifest import ArchivedTenant
from leasehold.tenancy.archive.refusals import (
    Damaged,
    DomainNotAllowed,
    DomainTaken,
    ImportedMeanwhile,
    UnknownPlanOfArchive,
)
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.models import PLATFORM_LANE
from leasehold.tenancy.names import InvalidHostname, check_hostname, quoted
from leasehold.tenancy.provision import SlugTaken
from leasehold.tenancy.restores.homes import Home
from leasehold.tenancy.slugs import SLUG_TAKEN, taking_sql

# A tenant whose row came with a platform that was taken over has no schema yet, and its id waits for its archive.
_IS_HOMELESS = "t.state = 'purged' OR pg_catalog.to_regnamespace(quote_ident(t.schema_name)) IS NULL"
_IS_KNOWN = f"SELECT 1 FROM platform.tenants t WHERE t.id = $1 AND NOT ({_IS_HOMELESS})"
_AWAITED = f"""
SELECT t.slug, t.name, t.plan, t.limits::text, t.features::text, t.rate_limits::text,
       'suspended' IN (t.state, coalesce(t.deleted_from, '')) AS is_suspended,
       ARRAY(SELECT d.hostname FROM platform.tenant_domains d WHERE d.tenant_id = t.id ORDER BY d.hostname) AS domains
  FROM platform.tenants t WHERE t.id = $1 AND t.state NOT IN ('purging', 'purged') AND ({_IS_HOMELESS})
   FOR UPDATE
"""
_PLAN = "SELECT 1 FROM platform.plans WHERE name = $1"
# The row of a tenant that was purged is all that is left of it, and is taken over with the id.
_ROW = f"""
INSERT INTO platform.tenants AS t (id, slug, schema_name, role_name, revision, state, name, cluster, created_at,
                                   updated_at, plan, limits, features, rate_limits)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'main', $8, clock_timestamp(), $9,
        $10::text::jsonb, $11::text::jsonb, $12::text::jsonb)
ON CONFLICT (id) DO UPDATE
   SET slug = excluded.slug, schema_name = excluded.schema_name, role_name = excluded.role_name,
       revision = excluded.revision, state = excluded.state, name = excluded.name,
       created_at = excluded.created_at, updated_at = excluded.updated_at, plan = excluded.plan,
       limits = excluded.limits, features = excluded.features, rate_limits = excluded.rate_limits,
       terms_version = t.terms_version + 1, deleted_at = NULL, deletion_requested_at = NULL, deleted_from = NULL,
       purge_at = NULL, maintenance_ends_at = NULL, is_read_only = false
 WHERE {_IS_HOMELESS}
RETURNING id
"""
# Its certificate stays in the audit log; without this, a second purge would add to the first one.
_FORGET_PURGE = "DELETE FROM platform.tenant_purges WHERE tenant_id = $1"
# Those that it shall have are written anew.
_FORGET_DOMAINS = "DELETE FROM platform.tenant_domains WHERE tenant_id = $1"
_DOMAIN = """
INSERT INTO platform.tenant_domains (id, tenant_id, hostname, created_at) VALUES ($1, $2, $3, now())
ON CONFLICT (hostname) DO NOTHING RETURNING id
"""
_SAME_ID = frozenset({"pk_tenants", "uq_tenants_schema_name", "uq_tenants_role_name", "pg_authid_rolname_index"})


@dataclass(frozen=True, slots=True)
class Registration:
    """What the registry shall say of a tenant."""

    tenant: TenantRef
    archived: ArchivedTenant
    name: str
    plan: str
    domains: Sequence[str]


def demand_terms(archived: ArchivedTenant) -> None:
    """Pass if whoever serves the tenant can read how often may be asked.

    Raises:
        Damaged: nobody can.
    """
    for text in archived.rate_limits.values():
        try:
            windows_of(text)
        except ValueError as error:
            raise Damaged(reason="one of its rate limits is none") from error


def demand_domains(hostnames: Sequence[str], *, base_domain: str) -> None:
    """Pass if tenants may have these domains: one under the installation's own would be that of another tenant.

    Raises:
        DomainNotAllowed: one is none of a tenant's.
    """
    for hostname in hostnames:
        try:
            check_hostname(hostname, base_domain=base_domain)
        except InvalidHostname as error:
            raise DomainNotAllowed(hostname=hostname) from error


async def choose_id(connection: DriverConnection, archived: UUID, *, anew: bool) -> UUID:
    """Return the id of an archive if nobody here has it, else a new one."""
    if anew or archived == PLATFORM_LANE or await connection.fetchval(_IS_KNOWN, archived):
        return new_id()
    return archived


async def choose_home(connection: DriverConnection, tenant_id: UUID, *, tenant_roles: bool) -> Home:
    """Return a home for a tenant that nobody has, called after its id where that can be.

    Roles are shared by all databases of a server: another installation on it may have the tenant, and the roles of a
    database that was dropped are still there.
    """
    home = Home.of(tenant_id)
    if tenant_roles and await connection.fetchval("SELECT pg_catalog.to_regrole($1) IS NOT NULL", quoted(home.role)):
        return Home.new()
    return home


async def as_awaited(connection: DriverConnection, archived: ArchivedTenant) -> ArchivedTenant:
    """Return a tenant as its row says, where that came with a platform that was taken over, else as its archive does.

    Its archive may be of long ago. Whom either of the two knows as suspended is that.
    """
    row = await connection.fetchrow(_AWAITED, archived.id)
    if row is None:
        return archived
    return replace(
        archived,
        **{name: row[name] for name in ("slug", "name", "plan")},
        **{name: json.loads(row[name]) for name in ("limits", "features", "rate_limits")},
        is_suspended=archived.is_suspended or row["is_suspended"],
        domains=tuple(row["domains"]),
    )


async def register(connection: DriverConnection, wanted: Registration) -> None:
    """Write the row of a tenant, and those of its domains.

    Raises:
        UnknownPlanOfArchive: there is no such plan.
        DomainTaken: another tenant has one of the domains.
        ImportedMeanwhile: somebody else has just made a tenant with this id.
        asyncpg.UniqueViolationError: another tenant has the slug, or had it until lately (`SLUG_TAKEN`).
    """
    tenant, archived = wanted.tenant, wanted.archived
    if not await connection.fetchval(_PLAN, wanted.plan):
        raise UnknownPlanOfArchive(plan=wanted.plan)
    terms = (json.dumps(terms) for terms in (archived.limits, archived.features, archived.rate_limits))
    known = (tenant.id, tenant.slug, tenant.schema, tenant.role, tenant.revision, tenant.state, wanted.name)
    if not await connection.fetchval(_ROW, *known, archived.created_at, wanted.plan, *terms):
        raise ImportedMeanwhile
    await connection.execute(taking_sql(tenant.id, tenant.slug))
    await connection.execute(_FORGET_PURGE, tenant.id)
    await connection.execute(_FORGET_DOMAINS, tenant.id)
    for hostname in wanted.domains:
        if not await connection.fetchval(_DOMAIN, new_id(), tenant.id, hostname):
            raise DomainTaken(hostname=hostname)


def refusal_of(error: DBAPIError | asyncpg.PostgresError) -> Exception | None:
    """Return what to tell whoever imports, None for what is our own fault."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else error
    if not isinstance(cause, asyncpg.PostgresError):
        return None
    if cause.constraint_name in SLUG_TAKEN:
        return SlugTaken()
    is_double = isinstance(cause, asyncpg.DuplicateObjectError | asyncpg.DuplicateSchemaError)
    if is_double or cause.constraint_name in _SAME_ID:
        return ImportedMeanwhile()
    return problem_of_driver(cause)
