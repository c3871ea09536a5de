"""The plan of a run: which tenants go from where to where, in which waves. Everything that can be refused is refused
here, before anything is touched.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import asyncpg

from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.lively import LivelyConnection
from leasehold.tenancy.fleet.history import RELATIVE, DatabaseNewer, TenantHistory
from leasehold.tenancy.fleet.limits import Limits
from leasehold.tenancy.fleet.refusals import destroys, excerpt
from leasehold.tenancy.fleet.rendering import render
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.fleet.segments import Rendering
from leasehold.tenancy.names import APP_ROLE

# After a platform was taken over, tenants wait for their archives without a schema, and come out of them at head. One
# that is served has lost its schema, which shall be heard of.
HAS_HOME = "(t.state = 'active' OR pg_catalog.to_regnamespace(quote_ident(t.schema_name)) IS NOT NULL)"
# A platform that is older than this code has no column `is_canary` yet.
_TENANTS = f"""
SELECT t.id, t.slug, t.schema_name, t.role_name, t.revision,
       coalesce((to_jsonb(t) ->> 'is_canary')::boolean, false) AS is_canary
  FROM platform.tenants t
 WHERE t.state NOT IN ('purging', 'purged') AND t.revision IS DISTINCT FROM $1 AND {HAS_HOME} ORDER BY t.id
"""
_SLUGS = "SELECT slug FROM platform.tenants WHERE slug = ANY($1)"
_COUNT = "SELECT count(*) FROM platform.tenants WHERE state NOT IN ('purging', 'purged')"
_FAILED = """
SELECT DISTINCT ON (tenant_id) tenant_id, error FROM platform.fleet_results ORDER BY tenant_id, id DESC
"""


class UnknownTenantSlug(ValueError):
    """There is no tenant {slug}."""

    def __init__(self, slug: str) -> None:
        super().__init__((self.__doc__ or "").format(slug=slug))


class Destructive(RuntimeError):
    """From {start} to {target}, `{statement}` ({place}) destroys something; say --allow-destructive if it shall."""

    def __init__(self, rendering: Rendering, statement: str, place: str) -> None:
        super().__init__(
            (self.__doc__ or "").format(
                start=rendering.start, target=rendering.target, statement=excerpt(statement), place=place
            )
        )


Renderings = Mapping[tuple[str, str], Rendering]
"""What leads from one revision to another."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run shall do, and in which order."""

    direction: Literal["upgrade", "downgrade"] = "upgrade"
    target: str = "head"
    """A revision in full, by a unique beginning, or relative to where each tenant stands."""
    canaries: tuple[str, ...] = ()
    """Slugs of tenants that go first, with those that the registry flags."""
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    retry_failed: bool = False
    """Only tenants whose last attempt failed."""
    wave: int = 100
    jobs: int = 1
    max_failures: int = 10
    """The run stops when so many tenants have failed."""
    allow_destructive: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class PlannedTenant:
    """One tenant that is to be migrated."""

    id: UUID
    slug: str
    schema: SchemaTarget
    start: str
    goal: str
    is_canary: bool


@dataclass(frozen=True, slots=True)
class Wave:
    """Tenants that are migrated before any of the next wave."""

    name: str
    tenants: tuple[PlannedTenant, ...]
    is_canary: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do."""

    fleet: int
    """How many tenants there are, those that need nothing included."""
    waves: tuple[Wave, ...]
    renderings: Renderings
    platform: tuple[str | None, str] | None = None
    """From where to where the shared schema is to be brought first, None where it stands right."""

    is_done: bool = False
    """Whether there is nothing at all to do."""

    @property
    def tenants(self) -> list[PlannedTenant]:
        """All tenants to be migrated, in order."""
        return [tenant for wave in self.waves for tenant in wave.tenants]

    def rendering_of(self, tenant: PlannedTenant) -> Rendering:
        """Return what is replayed in the schema of a tenant."""
        return self.renderings[tenant.start, tenant.goal]


async def make_plan(
    connection: DriverConnection,
    history: TenantHistory,
    options: RunOptions,
    *,
    tenant_roles: bool,
    rendered: Renderings | None = None,
) -> Plan:
    """Return the plan of a run. What was rendered for an earlier plan need not be rendered again.

    Raises:
        UnknownRevision, UnknownTenantSlug: the options name what does not exist.
        DatabaseNewer: a tenant stands at a revision that the history does not have.
        Unrenderable: a revision cannot be replayed.
        Destructive: a revision destroys something, and that was not allowed.
    """
    goal = None if RELATIVE.fullmatch(options.target) else history.resolve(options.target)
    rows: list[Mapping[str, Any]] = [dict(row) for row in await connection.fetch(_TENANTS, goal)]
    fleet: int = await connection.fetchval(_COUNT)
    await _demand_known_slugs(connection, options)
    if options.retry_failed:
        failed = {tenant_id for tenant_id, error in await connection.fetch(_FAILED) if error is not None}
        rows = [row for row in rows if row["id"] in failed]
    planned = [
        _planned(row, history, options, tenant_roles=tenant_roles)
        for row in rows
        if (not options.only or row["slug"] in options.only) and row["slug"] not in options.exclude
    ]
    tenants = [tenant for tenant in planned if _leads(history, tenant, options)]
    ways = sorted({(tenant.start, tenant.goal) for tenant in tenants})
    renderings = {way: (rendered or {}).get(way) or render(history, *way) for way in ways}
    if not options.allow_destructive:
        for rendering in renderings.values():
            _demand_harmless(rendering)
    return Plan(fleet, tuple(_waves(tenants, options.wave)), renderings)


async def _demand_known_slugs(connection: DriverConnection, options: RunOptions) -> None:
    named = [*options.only, *options.exclude, *options.canaries]
    if named:
        known = {row["slug"] for row in await connection.fetch(_SLUGS, named)}
        for slug in named:
            if slug not in known:
                raise UnknownTenantSlug(slug)


def _planned(
    row: Mapping[str, Any], history: TenantHistory, options: RunOptions, *, tenant_roles: bool
) -> PlannedTenant:
    slug, start = row["slug"], row["revision"]
    if start not in history.revisions:
        raise DatabaseNewer(f"The tenant {slug}", start)
    return PlannedTenant(
        id=row["id"],
        slug=slug,
        schema=SchemaTarget(row["schema_name"], row["role_name"] if tenant_roles else APP_ROLE),
        start=start,
        goal=history.resolve_from(start, options.target),
        is_canary=row["is_canary"] or slug in options.canaries,
    )


def _leads(history: TenantHistory, tenant: PlannedTenant, options: RunOptions) -> bool:
    """Tell whether the goal lies in the direction of the run; whoever is there or beyond has nothing to do."""
    if tenant.start == tenant.goal:
        return False
    return history.is_downgrade(tenant.start, tenant.goal) == (options.direction == "downgrade")


def _waves(tenants: Sequence[PlannedTenant], size: int) -> Iterator[Wave]:
    if canaries := tuple(tenant for tenant in tenants if tenant.is_canary):
        yield Wave("canaries", canaries, is_canary=True)
    others = [tenant for tenant in tenants if not tenant.is_canary]
    for number, first in enumerate(range(0, len(others), size), start=1):
        yield Wave(f"wave {number}", tuple(others[first : first + size]))


def _demand_harmless(rendering: Rendering) -> None:
    for statement, place in zip(rendering.statements, rendering.places, strict=True):
        if destroys(statement):
            raise Destructive(rendering, statement, place)


async def tenant_schema(owner_url: str, slug: str) -> str:
    """Return the schema of a tenant.

    Raises:
        UnknownTenantSlug: there is no such tenant.
    """
    connection = await asyncpg.connect(driver_url(owner_url), connection_class=LivelyConnection, timeout=10)
    try:
        schema = await connection.fetchval("SELECT schema_name FROM platform.tenants WHERE slug = $1", slug)
    finally:
        await connection.close()
    if schema is None:
        raise UnknownTenantSlug(slug)
    return schema
