"""Moves a tenant from one home to another, in a transaction of the owner that then ends at once.

The registry is changed and homes are renamed while nobody writes to the tenant and no run over the fleet is under way.
Readers are not waited for: they see what they saw, or find nothing and are asked to come back.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.tenancy.archive.shape import table_names
from leasehold.tenancy.fleet.lease import living_holder
from leasehold.tenancy.names import quoted, vacant_slug
from leasehold.tenancy.registry import announcement_sql
from leasehold.tenancy.restores.homes import Home, renaming_sql
from leasehold.tenancy.restores.refusals import (
    FleetUnderWay,
    NothingWaits,
    NotInPlace,
    NotUndone,
    RestoreUnderWay,
    StillBusy,
    UndoneAlready,
    WaitsForConfirmation,
)
from leasehold.tenancy.states import LIVING

_PAUSE_S = 0.2
# Shorter than PostgreSQL waits before it looks for deadlocks: of a request and a move, the move is to give way.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '800ms'"
# Whoever would begin a run waits until this has ended, and then reads where the tenant lives.
_NO_RUN = "LOCK TABLE platform.fleet_leases IN SHARE MODE"
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
_TENANT = """
SELECT id, slug, state, revision, schema_name, role_name FROM platform.tenants WHERE id = $1 FOR UPDATE
"""
_WAITING = """
SELECT aside_id, schema_name, role_name, made_at, is_undone FROM platform.tenant_restores WHERE tenant_id = $1
"""
_MOVE = """
UPDATE platform.tenants SET schema_name = $2, role_name = $3, revision = $4, updated_at = clock_timestamp()
 WHERE id = $1
"""
# What it may have goes with it, for only so its plan is not taken for one that nobody has.
_KEEP = """
INSERT INTO platform.tenants (id, slug, schema_name, role_name, revision, state, name, cluster, created_at, updated_at,
                              plan, limits, features, rate_limits)
SELECT $2, $3, $4, $5, $6, 'set_aside', name, cluster, clock_timestamp(), clock_timestamp(),
       plan, limits, features, rate_limits
  FROM platform.tenants WHERE id = $1
"""
_NOTE = """
INSERT INTO platform.tenant_restores (id, tenant_id, aside_id, schema_name, role_name, made_at, set_aside_at)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
"""
_NOTE_BACK = """
UPDATE platform.tenant_restores
   SET schema_name = $2, role_name = $3, is_undone = NOT is_undone, set_aside_at = clock_timestamp()
 WHERE tenant_id = $1
"""
# What was to be done for rows that are set aside waits with them.
_JOBS = "UPDATE platform.jobs SET tenant_id = $2 WHERE tenant_id = $1 AND state IN ('delayed', 'ready', 'running')"


@dataclass(frozen=True, slots=True)
class Move:
    """A move that is about to be done, on a connection that is in a transaction."""

    connection: DriverConnection
    tenant_id: UUID
    tenant_roles: bool
    patience_s: float
    """Seconds after which it gives up to wait for who writes."""

    async def begin(self) -> Any:
        """Keep others from moving the same tenant, and return its row, unlocked as yet.

        Raises:
            RestoreUnderWay, NotInPlace, FleetUnderWay: it cannot be moved now.
        """
        row: Any = await self.connection.fetchrow(_TENANT.replace("FOR UPDATE", ""), self.tenant_id)
        if row is None or row["state"] not in LIVING:
            raise NotInPlace(slug=row["slug"] if row else self.tenant_id, state=row["state"] if row else "unknown")
        if not await self.connection.fetchval(_ALONE, f"restore {self.tenant_id}"):
            raise RestoreUnderWay(slug=row["slug"])
        await self._demand_no_run()
        return row

    async def demand_nothing_waits(self, slug: str) -> None:
        """Pass if nothing is set aside for the tenant.

        Raises:
            WaitsForConfirmation: something is.
        """
        if await self.connection.fetchrow(_WAITING, self.tenant_id):
            raise WaitsForConfirmation(slug=slug)

    async def move_in(self, home: Home, *, revision: str, made_at: Any) -> UUID:
        """Let the tenant live in a home that was filled for it, set aside what it has, and return the id of that.

        Raises:
            StillBusy, NotInPlace, FleetUnderWay: it cannot be moved now.
        """
        aside_id = new_id()

        async def work(row: Any) -> None:
            connection, former = self.connection, Home(row["schema_name"], row["role_name"])
            kept = Home.of(aside_id)
            await connection.execute(renaming_sql(former, kept, tenant_roles=self.tenant_roles))
            await connection.execute(_MOVE, self.tenant_id, home.schema, home.role, revision)
            names = (vacant_slug(aside_id), kept.schema, kept.role, row["revision"])
            await connection.execute(_KEEP, self.tenant_id, aside_id, *names)
            await connection.execute(_NOTE, new_id(), self.tenant_id, aside_id, former.schema, former.role, made_at)
            await connection.execute(_JOBS, self.tenant_id, aside_id)

        await self._while_nobody_writes(work)
        return aside_id

    async def exchange(self, slug: str, *, is_undone: bool) -> Any:
        """Let what the tenant has and what is set aside for it take each other's place; return what was noted of it.

        Raises:
            NothingWaits: nothing is set aside.
            UndoneAlready, NotUndone: they have done so already.
            StillBusy, NotInPlace, FleetUnderWay: it cannot be moved now.
        """
        noted: Any = None

        async def work(row: Any) -> None:
            nonlocal noted
            connection = self.connection
            noted = await connection.fetchrow(_WAITING, self.tenant_id)
            aside: Any = await connection.fetchrow(_TENANT, noted["aside_id"]) if noted else None
            if aside is None or aside["state"] != "set_aside":
                raise NothingWaits(slug=slug)
            if noted["is_undone"] is is_undone:
                raise (UndoneAlready if is_undone else NotUndone)(slug=slug)
            present = Home(row["schema_name"], row["role_name"])
            kept, back = Home(aside["schema_name"], aside["role_name"]), Home(noted["schema_name"], noted["role_name"])
            for home, to in ((kept, back), (present, kept)):
                await connection.execute(renaming_sql(home, to, tenant_roles=self.tenant_roles))
            between = Home.new()  # for no two rows may have one name, not even for a moment
            await connection.execute(_MOVE, aside["id"], between.schema, between.role, row["revision"])
            await connection.execute(_MOVE, self.tenant_id, back.schema, back.role, aside["revision"])
            await connection.execute(_MOVE, aside["id"], kept.schema, kept.role, row["revision"])
            await connection.execute(_NOTE_BACK, self.tenant_id, present.schema, present.role)
            nobody = new_id()
            for start, end in ((self.tenant_id, nobody), (aside["id"], self.tenant_id), (nobody, aside["id"])):
                await connection.execute(_JOBS, start, end)

        await self._while_nobody_writes(work)
        return noted

    async def _while_nobody_writes(self, work: Callable[[Any], Awaitable[None]]) -> None:
        """Do `work` with the locked row of the tenant, as soon as nobody writes to it; then all is to be committed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience_s
        while True:
            try:
                async with self.connection.transaction():
                    row = await self._locked()
                    await work(row)
                    await self.connection.execute(announcement_sql(self.tenant_id))
                return
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                if loop.time() > deadline:
                    slug = await self.connection.fetchval(
                        "SELECT slug FROM platform.tenants WHERE id = $1", self.tenant_id
                    )
                    raise StillBusy(slug=slug, seconds=round(self.patience_s)) from error
            await asyncio.sleep(_PAUSE_S * (1 + random.random()))  # noqa: S311 - so that two do not meet again

    async def _locked(self) -> Any:
        connection = self.connection
        await connection.execute(f"{_LOCK_TIMEOUT}; {_NO_RUN}")
        await self._demand_no_run()
        row: Any = await connection.fetchrow(_TENANT, self.tenant_id)
        if row["state"] not in LIVING:
            raise NotInPlace(slug=row["slug"], state=row["state"])
        schema = quoted(row["schema_name"])
        tables = ", ".join(f"{schema}.{quoted(name)}" for name in await table_names(connection, row["schema_name"]))
        await connection.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
        return row

    async def _demand_no_run(self) -> None:
        holder = await living_holder(self.connection)
        if holder is not None:
            raise FleetUnderWay(host=holder["host"], pid=holder["pid"])
