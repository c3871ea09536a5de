"""One run over the fleet: platform and reference first, then canaries, then wave after wave, under the lease.

A run that finds nothing to do asks five questions and leaves; it takes no lease and writes nothing.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import MetaData

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.lively import LivelyConnection
from leasehold.core.sqlstate import LOST_CONNECTION
from leasehold.tenancy.fleet.history import RELATIVE, DatabaseNewer, TenantHistory
from leasehold.tenancy.fleet.lease import LEASE_S, Lease, LeaseLost, application_name, connect_for_run, held_lease
from leasehold.tenancy.fleet.ledger import Outcome, RunKind, TenantResult, finish_run, start_run
from leasehold.tenancy.fleet.limits import patiently
from leasehold.tenancy.fleet.live import LiveRevisionFailed, LiveRevisions
from leasehold.tenancy.fleet.plan import Plan, Renderings, RunOptions, Wave, make_plan
from leasehold.tenancy.fleet.reference import migrate_reference, record_revisions
from leasehold.tenancy.fleet.replay import Replay
from leasehold.tenancy.fleet.waves import Crew
from leasehold.tenancy.names import REFERENCE_SCHEMA, VERSION_TABLE, quoted

LEASE_NAME = "migrate"
_LOOK_LOCK_TIMEOUT = "5s"
_RECORDED = "SELECT revision, served_by FROM platform.tenant_revisions"
_NOTHING_THERE = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)


class ReferenceFailed(RuntimeError):
    """The reference schema could not be migrated, and no tenant was touched: {reason}."""

    def __init__(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        super().__init__((self.__doc__ or "").format(reason=reason))


def _ignore(*_: Any) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Platform:
    """The history of the shared schema: what it knows, and how it is brought to head."""

    revisions: frozenset[str]
    head: str
    upgrade: Callable[[str], Awaitable[None]]
    """Takes the name that its connection shall bear, so that whoever takes the run over can end it."""


@dataclass(frozen=True, slots=True)
class Report:
    """Whom a run tells how it goes."""

    on_plan: Callable[[Plan], None] = _ignore
    on_start: Callable[[int], None] = _ignore
    """Is told how many tenants there are to do."""
    on_result: Callable[[TenantResult], None] = _ignore
    on_skip: Callable[[str], None] = _ignore
    """Is told which tenant was purged before its turn had come."""
    on_wave: Callable[[Wave, int, int], None] = _ignore
    """Is told how many tenants of a wave were migrated, and how many failed."""
    on_wait: Callable[[str, str], None] = _ignore
    """Is told which tenant waits, and for whom."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to."""

    kind: RunKind
    target: str
    fleet: int
    """How many tenants there are."""
    planned: int
    results: tuple[TenantResult, ...] = ()
    stopped: str | None = None
    """Why the run ended before its time."""
    skipped: tuple[str, ...] = ()
    """The slugs of tenants that were purged meanwhile, so that nothing was left to be done."""

    @property
    def failed(self) -> tuple[TenantResult, ...]:
        """The tenants that keep an old revision."""
        return tuple(result for result in self.results if result.error is not None)

    @property
    def reason(self) -> str | None:
        """What is to be said of the run besides its outcome."""
        said = [f"{len(self.skipped)} skipped, for they were purged meanwhile"] if self.skipped else []
        return "; ".join([*([self.stopped] if self.stopped else []), *said]) or None

    @property
    def outcome(self) -> Outcome:
        """The run in one word."""
        return "stopped" if self.stopped else "failed" if self.failed else "succeeded"


@dataclass(frozen=True, slots=True)
class FleetRun:
    """A run, with all that it needs to know."""

    owner_url: str
    by: Actor
    history: TenantHistory
    metadata: MetaData
    tenant_roles: bool
    options: RunOptions = field(default_factory=RunOptions)
    platform: Platform | None = None
    """None where the shared schema is left as it is, for one tenant alone."""
    report: Report = field(default_factory=Report)
    verify: Callable[[], Awaitable[str | None]] | None = None
    """Asked after the canaries, before anybody else is migrated; what it returns stops the run."""
    lease_s: float = LEASE_S
    """Seconds after which a runner that has not stirred is taken for dead."""

    async def plan(self) -> Plan:
        """Return what the run would do; nothing is touched.

        Raises:
            DatabaseNewer, UnknownRevision, UnknownTenantSlug, Unrenderable, Destructive: it would do nothing.
            OSError, asyncpg.PostgresError: the database does not answer.
        """
        connection = await asyncpg.connect(driver_url(self.owner_url), connection_class=LivelyConnection, timeout=10)
        try:
            return await self._plan(connection)
        finally:
            await connection.close()

    async def run(self) -> RunSummary:
        """Do it.

        Raises:
            RunnerBusy: another run is under way.
            LeaseLost: another run took over in the middle.
            DatabaseNewer, UnknownRevision, UnknownTenantSlug, Unrenderable, Destructive: nothing was touched.
            OSError, asyncpg.PostgresError: the database does not answer, or platform or reference cannot be migrated.
        """
        plan = await self._look()
        if plan is not None and plan.is_done:
            return RunSummary(self.options.direction, self._target, plan.fleet, 0)
        async with AsyncExitStack() as stack:
            lease = await self._lease(stack)
            try:
                await self._upgrade_platform(lease, plan)
                connection = await connect_for_run(self.owner_url, lease.run_id)
                stack.callback(connection.terminate)
                return await self._run(connection, lease, plan.renderings if plan else {})
            except Exception as error:
                # Whoever took over has ended our connections.
                if await lease.is_another_s():
                    raise LeaseLost from error
                raise

    async def _look(self) -> Plan | None:
        """Return what there is to do, None where a dead run keeps the registry locked: then the lease goes first."""
        limits = {"lock_timeout": _LOOK_LOCK_TIMEOUT}
        connection = await asyncpg.connect(
            driver_url(self.owner_url), connection_class=LivelyConnection, timeout=10, server_settings=limits
        )
        try:
            plan = await self._plan(connection)
            return replace(plan, is_done=not plan.waves and await self._is_current(connection))
        except asyncpg.LockNotAvailableError:
            return None
        finally:
            await connection.close()

    @property
    def _target(self) -> str:
        """The revision in full, unless it is relative to where each tenant stands."""
        target = self.options.target
        return target if RELATIVE.fullmatch(target) else self.history.resolve(target)

    async def _lease(self, stack: AsyncExitStack) -> Lease:
        """Take the lease; where the platform has no place for leases yet, it is brought to head first."""
        held = partial(held_lease, self.owner_url, name=LEASE_NAME, seconds=self.lease_s)
        try:
            return await stack.enter_async_context(held())
        except _NOTHING_THERE:
            if self.platform is not None:
                await self.platform.upgrade("leasehold-first-run")
            return await stack.enter_async_context(held())

    async def _upgrade_platform(self, lease: Lease, plan: Plan | None) -> None:
        if self.platform is not None and (plan is None or plan.platform is not None):
            upgrade = partial(self.platform.upgrade, application_name(lease.run_id))
            await patiently(upgrade, self.options.limits)

    async def _run(self, connection: DriverConnection, lease: Lease, rendered: Renderings) -> RunSummary:
        plan = await self._plan(connection, rendered)  # once more: since the first one, another run may have ended
        live = LiveRevisions(self.owner_url, self.history, self.metadata, run_id=lease.run_id)
        ends = {segment.end for rendering in plan.renderings.values() for segment in rendering.segments}
        if not RELATIVE.fullmatch(self.options.target):
            ends.add(self._target)
        is_whole = not self.options.only and self.platform is not None
        try:
            tables = await record_revisions(connection, self.history, sorted(filter(None, ends)), self.metadata)
            replay = Replay(self.metadata, self.options.limits, lease.fence, live.run, tables)
            if is_whole and self.options.direction == "upgrade":
                migrate = partial(migrate_reference, connection, self.history, self.options.target, replay)
                await patiently(migrate, self.options.limits)
        except (asyncpg.PostgresError, LiveRevisionFailed) as error:
            raise ReferenceFailed(error) from error
        kind, planned = self.options.direction, len(plan.tenants)
        await start_run(connection, lease.run_id, kind=kind, target=self._target, planned=planned, by=self.by)
        crew = Crew(
            self.owner_url,
            lease=lease,
            plan=plan,
            replay=replay,
            jobs=self.options.jobs,
            max_failures=self.options.max_failures,
            on_result=self.report.on_result,
            on_skip=self.report.on_skip,
            on_wait=self.report.on_wait,
        )
        self.report.on_plan(plan)
        self.report.on_start(planned)
        stopped: str | None = "it was interrupted"
        try:
            stopped = await self._waves(plan, crew)
        finally:
            await crew.close()
            summary = RunSummary(
                kind, self._target, plan.fleet, planned, tuple(crew.results), stopped, tuple(crew.skipped)
            )
            await self._finish(lease, summary)
        if is_whole and self.options.direction == "downgrade" and summary.outcome == "succeeded":
            connection = await connect_for_run(self.owner_url, lease.run_id)
            await migrate_reference(connection, self.history, self.options.target, replay, downgrade=True)
            await connection.close()
        return summary

    async def _finish(self, lease: Lease, summary: RunSummary) -> None:
        """Write down how the run ended, over a new connection: the database may have been restarted meanwhile."""
        with suppress(*LOST_CONNECTION, asyncpg.PostgresError):
            connection = await connect_for_run(self.owner_url, lease.run_id)
            await finish_run(connection, lease.run_id, summary.outcome, summary.reason)
            await connection.close()

    async def _waves(self, plan: Plan, crew: Crew) -> str | None:
        """Go through the waves, and return why the run stops where it does not reach the end."""
        to_verify = self.verify
        for wave in plan.waves:
            # Canaries that stand right already, from a run whose check was not content, are looked at once more.
            if to_verify and not wave.is_canary and (reason := await to_verify()):
                return reason
            done, failed = len(crew.results) - crew.failures, crew.failures
            await crew.migrate(wave)
            failures = crew.failures - failed
            self.report.on_wave(wave, len(crew.results) - crew.failures - done, failures)
            if wave.is_canary and failures:
                return f"{failures} of {len(wave.tenants)} canaries failed"
            if to_verify and wave.is_canary and (reason := await to_verify()):
                return reason
            to_verify = None
            if crew.has_enough:
                return f"{crew.failures} tenants failed"
        return None

    async def _plan(self, connection: DriverConnection, rendered: Renderings | None = None) -> Plan:
        found: str | None = None
        try:
            if self.platform is not None:
                found = await connection.fetchval(f"SELECT version_num FROM platform.{VERSION_TABLE}")
                if found is not None and found not in self.platform.revisions:
                    raise DatabaseNewer("The platform", found)
            roles = self.tenant_roles
            plan = await make_plan(connection, self.history, self.options, tenant_roles=roles, rendered=rendered)
        except _NOTHING_THERE:
            self.history.resolve_from(self.history.head, self.options.target)
            plan = Plan(0, (), {})
        if self.platform is None or found == self.platform.head:
            return plan
        return replace(plan, platform=(found, self.platform.head))

    async def _is_current(self, connection: DriverConnection) -> bool:
        """Tell whether platform, reference and what is recorded of the revision need nothing."""
        if self.platform is None or self.options.only or self.options.direction == "downgrade":
            return True
        goal = self.history.resolve(self.options.target)
        try:
            platform, reference, leased = await connection.fetchrow(
                f"SELECT (SELECT version_num FROM platform.{VERSION_TABLE}),"
                f" (SELECT version_num FROM {quoted(REFERENCE_SCHEMA)}.{VERSION_TABLE}),"
                " EXISTS (SELECT FROM platform.fleet_leases WHERE name = $1)",
                LEASE_NAME,
            ) or (None, None, None)
            recorded = {row["revision"]: row["served_by"] for row in await connection.fetch(_RECORDED)}
        except _NOTHING_THERE:
            return False
        is_there = reference in self.history.revisions and goal in self.history.path(None, reference)
        if leased:  # by a run that is under way, or that nobody has buried yet
            return False
        return platform == self.platform.head and is_there and recorded.get(goal) == self.history.served_by(goal)
