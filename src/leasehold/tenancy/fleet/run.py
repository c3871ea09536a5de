"""One run of `migrate-all` over the tenants: every schema to one revision, several at a time, each for itself.

A tenant that fails keeps its revision and its place in the summary; the others go on.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import MetaData
from sqlalchemy.exc import SQLAlchemyError

from leasehold.core.database import DriverConnection, driver_url
from leasehold.tenancy.fleet.history import TenantHistory, UnknownRevision
from leasehold.tenancy.fleet.live import LiveRevisions
from leasehold.tenancy.fleet.reference import migrate_reference
from leasehold.tenancy.fleet.rendering import render
from leasehold.tenancy.fleet.replay import SchemaTarget, replay
from leasehold.tenancy.fleet.segments import Rendering
from leasehold.tenancy.names import APP_ROLE
from leasehold.tenancy.provision import announce_by_owner

_PENDING = """
SELECT id, slug, schema_name, role_name, revision FROM platform.tenants
 WHERE state NOT IN ('purging', 'purged') AND revision <> $1 ORDER BY id
"""
_COUNT = "SELECT count(*) FROM platform.tenants WHERE state NOT IN ('purging', 'purged')"
_SET_REVISION = "UPDATE platform.tenants SET revision = $2 WHERE id = $1"
_FORGET_CHANGES = "DELETE FROM platform.registry_changes WHERE created_at < now() - interval '1 hour'"


# What ends the migration of one tenant and of no other.
_OF_ONE_TENANT = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    SQLAlchemyError,
    RuntimeError,
    UnknownRevision,
)


class UnknownTenantSlug(ValueError):
    """There is no tenant {slug}."""

    def __init__(self, slug: str) -> None:
        super().__init__((self.__doc__ or "").format(slug=slug))


@dataclass(frozen=True, slots=True)
class TenantResult:
    """What became of one tenant in a run."""

    slug: str
    start: str
    target: str
    duration_s: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What became of the fleet in a run."""

    target: str
    tenants: int
    results: tuple[TenantResult, ...]

    @property
    def failed(self) -> tuple[TenantResult, ...]:
        """The tenants that keep their old revision."""
        return tuple(result for result in self.results if result.error is not None)


@dataclass(frozen=True, slots=True)
class _Pending:
    id: UUID
    slug: str
    target: SchemaTarget
    revision: str


class FleetRun:
    """Migrates tenants over `jobs` connections of the owner; rendering happens once per starting revision."""

    def __init__(
        self, *, owner_url: str, history: TenantHistory, metadata: MetaData, jobs: int, tenant_roles: bool
    ) -> None:
        self._url = driver_url(owner_url)
        self._history = history
        self._metadata = metadata
        self._jobs = jobs
        self._tenant_roles = tenant_roles
        self._renderings: dict[tuple[str, str], Rendering] = {}
        self._live = LiveRevisions(owner_url, history, metadata)

    async def migrate_all(
        self, *, on_start: Callable[[int], None], on_result: Callable[[TenantResult], None]
    ) -> RunSummary:
        """Bring the reference schema and then every tenant to head.

        Raises:
            BrokenHistory, Unrenderable, UnknownRevision: before any tenant was touched.
            OSError, asyncpg.PostgresError: the database does not answer, or the reference could not be migrated.
        """
        head = self._history.head
        connection = await asyncpg.connect(self._url, timeout=10)
        try:
            pending = [self._pending(row) for row in await connection.fetch(_PENDING, head)]
            tenants = await connection.fetchval(_COUNT)
            for start in sorted({tenant.revision for tenant in pending}):
                self._rendering(start, head)
            await migrate_reference(connection, self._history, head, self._metadata, self._live)
            await connection.execute(_FORGET_CHANGES)
        finally:
            await connection.close()
        on_start(len(pending))
        return RunSummary(head, tenants, await self._migrate(pending, head, on_result))

    async def migrate_one(self, slug: str, target: str) -> TenantResult:
        """Bring one tenant to a revision, up or down, given in full, as `head`, or relative as `-1`.

        Raises:
            UnknownTenantSlug: there is no such tenant.
            UnknownRevision: there is no such revision.
        """
        connection = await asyncpg.connect(self._url, timeout=10)
        try:
            row = await connection.fetchrow(
                "SELECT id, slug, schema_name, role_name, revision FROM platform.tenants WHERE slug = $1", slug
            )
            if row is None:
                raise UnknownTenantSlug(slug)
            resolved = self._history.resolve_from(row["revision"], target)
            return await self._migrate_tenant(connection, self._pending(row), resolved)
        finally:
            await connection.close()

    async def _migrate(
        self, pending: Sequence[_Pending], target: str, on_result: Callable[[TenantResult], None]
    ) -> tuple[TenantResult, ...]:
        queue = iter(pending)
        results: list[TenantResult] = []

        async def work() -> None:
            connection: DriverConnection | None = None
            for tenant in queue:
                try:
                    if connection is None or connection.is_closed():
                        connection = await asyncpg.connect(self._url, timeout=10)
                    result = await self._migrate_tenant(connection, tenant, target)
                except (OSError, asyncpg.PostgresError) as failure:
                    result = TenantResult(tenant.slug, tenant.revision, target, 0.0, _reason(failure))
                results.append(result)
                on_result(result)
            if connection is not None:
                await connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._jobs, len(pending))):
                group.create_task(work())
        return tuple(results)

    async def _migrate_tenant(self, connection: DriverConnection, tenant: _Pending, target: str) -> TenantResult:
        started = time.monotonic()
        error: str | None = None

        async def record(connection: DriverConnection, revision: str) -> None:
            await connection.execute(_SET_REVISION, tenant.id, revision)
            await announce_by_owner(connection, tenant.id)

        try:
            if tenant.revision != target:
                rendering = self._rendering(tenant.revision, target)
                run_live = self._live.run
                await replay(connection, tenant.target, rendering, self._metadata, record=record, run_live=run_live)
        except _OF_ONE_TENANT as failure:
            error = _reason(failure)
        return TenantResult(tenant.slug, tenant.revision, target, time.monotonic() - started, error)

    def _rendering(self, start: str, target: str) -> Rendering:
        if start not in self._history.revisions:
            raise UnknownRevision(start)
        if (start, target) not in self._renderings:
            self._renderings[start, target] = render(self._history, start, target)
        return self._renderings[start, target]

    def _pending(self, row: asyncpg.Record) -> _Pending:
        role = row["role_name"] if self._tenant_roles else APP_ROLE
        return _Pending(row["id"], row["slug"], SchemaTarget(row["schema_name"], role), row["revision"])


def _reason(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}"


async def revision_counts(owner_url: str) -> dict[str, int]:
    """Return how many tenants stand at each revision, as the registry has it."""
    connection = await asyncpg.connect(driver_url(owner_url), timeout=10)
    try:
        rows = await connection.fetch(
            "SELECT revision, count(*) AS tenants FROM platform.tenants"
            " WHERE state NOT IN ('purging', 'purged') GROUP BY revision ORDER BY revision"
        )
    finally:
        await connection.close()
    return {row["revision"]: row["tenants"] for row in rows}


async def tenant_schema(owner_url: str, slug: str) -> str:
    """Return the schema of a tenant.

    Raises:
        UnknownTenantSlug: there is no such tenant.
    """
    connection = await asyncpg.connect(driver_url(owner_url), timeout=10)
    try:
        schema = await connection.fetchval("SELECT schema_name FROM platform.tenants WHERE slug = $1", slug)
    finally:
        await connection.close()
    if schema is None:
        raise UnknownTenantSlug(slug)
    return schema
