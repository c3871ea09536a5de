"""Drift: whether schemas look as the migrations make them, by the fingerprints that the migrations have left."""

from collections.abc import Sequence

import asyncpg

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind, named
from leasehold.tenancy.doctor.site import Site
from leasehold.tenancy.fleet.fingerprint import describe_all, digest
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.names import APP_ROLE, REFERENCE_SCHEMA, reference_role

DRIFTED = Kind(
    "tenants-drifted",
    "problem",
    "The schemas of {count} of {looked_at} tenants do not look as the migrations make them: {tenants}.",
    "`leasehold migrate drift SLUG` says what differs. Take back what was done by hand, or write it as a migration.",
)
NO_SCHEMA = Kind(
    "tenant-schema-missing",
    "problem",
    "The registry has tenants without a schema: {tenants}.",
    "Restore the schema from a backup; a tenant that shall be gone is ended by `leasehold tenants delete` and `purge`.",
)
REFERENCE = Kind(
    "reference-drifted",
    "warning",
    "The reference schema does not look as the migrations make it: new revisions are written against a wrong picture.",
    "DROP SCHEMA tenant_reference CASCADE as lh_owner, then `leasehold migrate all`, which makes it anew.",
)
SAMPLE = 50
_AT_ONCE = 250
_RECORDED = "SELECT revision, fingerprint FROM platform.tenant_revisions"
_REFERENCE = "SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()"
_TENANTS = """
SELECT slug, schema_name, role_name, revision FROM platform.tenants
 WHERE state NOT IN ('purging', 'purged') ORDER BY {order} LIMIT {limit}
"""


async def find(site: Site) -> list[Finding]:
    """Compare a sample of tenants drawn anew each time, or all of them in a deep examination, and the reference."""
    recorded = {row["revision"]: row["fingerprint"] for row in await site.catalog.fetch(_RECORDED)}
    order, limit = ("id", "ALL") if site.is_deep else ("random()", str(SAMPLE))
    rows = await site.catalog.fetch(_TENANTS.format(order=order, limit=limit))
    drifted: list[str] = []
    missing: list[str] = []
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        lines = await _describe(site, some)
        for row in some:
            described = lines[row["schema_name"]]
            if not described:
                missing.append(row["slug"])
            elif recorded.get(row["revision"]) != digest(described):
                drifted.append(row["slug"])
    findings: list[Finding] = []
    if drifted:
        findings.append(DRIFTED.found(count=len(drifted), looked_at=len(rows), tenants=named(drifted)))
    if missing:
        findings.append(NO_SCHEMA.found(tenants=named(missing)))
    reference = SchemaTarget(REFERENCE_SCHEMA, reference_role(await site.catalog.fetchval(_REFERENCE)))
    (described,) = (await describe_all(site.catalog, [reference])).values()
    # It may stand at any revision while one is written.
    if digest(described) not in recorded.values():
        findings.append(REFERENCE.found())
    return findings


async def _describe(site: Site, rows: Sequence[asyncpg.Record]) -> dict[str, list[str]]:
    """Return the shapes of the schemas of some tenants by the schemas' names, asked for together."""
    has_roles = site.settings.tenant_roles
    targets = [SchemaTarget(row["schema_name"], row["role_name"] if has_roles else APP_ROLE) for row in rows]
    return await describe_all(site.catalog, targets)


CHECK = Check(
    "shapes",
    f"Do schemas look as the migrations make them: {SAMPLE} tenants chosen by chance, or all with --deep?",
    (DRIFTED, NO_SCHEMA, REFERENCE),
    find,
)
