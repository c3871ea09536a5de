"""Drift: what a schema has that the migrations did not make, and what it lacks."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy import MetaData

from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.lively import LivelyConnection
from leasehold.tenancy.fleet.fingerprint import describe_all
from leasehold.tenancy.fleet.history import DatabaseNewer, TenantHistory
from leasehold.tenancy.fleet.plan import UnknownTenantSlug
from leasehold.tenancy.fleet.reference import describe_revision
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.names import APP_ROLE

_AT_ONCE = 250
_TENANTS = """
SELECT slug, schema_name, role_name, revision FROM platform.tenants
 WHERE state NOT IN ('purging', 'purged') AND (cardinality($1::text[]) = 0 OR slug = ANY($1)) ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """How the schema of one tenant differs from the reference at its revision."""

    slug: str
    revision: str
    missing: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """How many schemas were compared, and which differ."""

    tenants: int
    differences: list[Difference]


async def find_drift(
    owner_url: str,
    history: TenantHistory,
    metadata: MetaData,
    slugs: Sequence[str],
    *,
    tenant_roles: bool,
) -> Drift:
    """Compare the schemas of these tenants, or of all if none is named, with the reference at their revisions.

    Raises:
        UnknownTenantSlug: there is no such tenant.
        DatabaseNewer: a tenant stands at a revision that the history does not have.
    """
    connection = await asyncpg.connect(driver_url(owner_url), connection_class=LivelyConnection, timeout=10)
    try:
        return await _compare(connection, history, metadata, slugs, tenant_roles=tenant_roles)
    finally:
        await connection.close()


async def _compare(
    connection: DriverConnection,
    history: TenantHistory,
    metadata: MetaData,
    slugs: Sequence[str],
    *,
    tenant_roles: bool,
) -> Drift:
    rows = await connection.fetch(_TENANTS, list(slugs))
    for slug in set(slugs) - {row["slug"] for row in rows}:
        raise UnknownTenantSlug(slug)
    for row in rows:
        if row["revision"] not in history.revisions:
            raise DatabaseNewer(f"The tenant {row['slug']}", row["revision"])
    revisions = sorted({row["revision"] for row in rows})
    expected = {
        revision: frozenset(await describe_revision(connection, history, revision, metadata)) for revision in revisions
    }
    differences: list[Difference] = []
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        targets = [SchemaTarget(row["schema_name"], row["role_name"] if tenant_roles else APP_ROLE) for row in some]
        found = await describe_all(connection, targets)
        for row in some:
            wanted, has = expected[row["revision"]], frozenset(found[row["schema_name"]])
            if wanted != has:
                missing, added = tuple(sorted(wanted - has)), tuple(sorted(has - wanted))
                differences.append(Difference(row["slug"], row["revision"], missing, added))
    return Drift(len(rows), differences)
