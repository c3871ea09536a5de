"""Moves a tenant from one home to another, in a transaction of the owner that then ends at once.

The registry is changed and homes are renamed while nobody writes to the tenant and no run over the fleet is under way.
Readers are not waited for: they see what they saw, or find nothing and are asked to come back.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.tenancy.archive.glance import glance
from leasehold.tenancy.archive.shape import table_names
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.lease import living_holder
from leasehold.tenancy.names import quoted, vacant_slug
from leasehold.tenancy.owner import LETS_GO
from leasehold.tenancy.registry import announcement_sql
from leasehold.tenancy.restores.holders import Holder, holders_of
from leasehold.tenancy.restores.homes import Home, renaming_sql
from leasehold.tenancy.restores.refusals import (
    BeingDestroyed,
    FleetUnderWay,
    LeftBehind,
    MigratedBeyond,
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
# Together shorter than PostgreSQL waits before it looks for deadlocks: of a request and a move, the move gives way.
_ATTEMPT_MS = 700
_BEHIND_THE_TABLES = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '200ms'"
# Autovacuum is told to give way when PostgreSQL has looked for deadlocks, and then goes within milliseconds.
_FOR_AUTOVACUUM_MS = 500
# Whoever would begin a run waits until this has ended, and then reads where the tenant lives.
_NO_RUN = "LOCK TABLE platform.fleet_leases IN SHARE MODE"
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
_TENANT = """
SELECT id, slug, state, revision, schema_name, role_name FROM platform.tenants WHERE id = $1 FOR UPDATE
"""
_WAITING = """
SELECT r.aside_id, r.schema_name, r.role_name, r.made_at, r.is_undone, a.state
  FROM platform.tenant_restores r JOIN platform.tenants a ON a.id = r.aside_id
 WHERE r.tenant_id = $1
"""
_MOVE = """
UPDATE platform.tenants SET schema_name = $2, role_name = $3, revision = $4, updated_at = clock_timestamp()
 WHERE id = $1
"""
# Of what it may have, nothing: that stays with the tenant, and a plan that only this had could not be deleted.
_KEEP = """
INSERT INTO platform.tenants (id, slug, schema_name, role_name, revision, state, name, cluster, created_at, updated_at)
SELECT $2, $3, $4, $5, $6, 'set_aside', name, cluster, clock_timestamp(), clock_timestamp()
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
# What was to be done for rows that are set aside waits with them; so does what failed, for somebody may try it again.
_JOBS = "UPDATE platform.jobs SET tenant_id = $2 WHERE tenant_id = $1"
_HELD = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError)
_DEADLOCK_MS = "SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'"


@dataclass(frozen=True, slots=True)
class Move:
    """A move that is about to be done, on a connection that is in a transaction."""

    connection: DriverConnection
    tenant_id: UUID
    tenant_roles: bool
    history: TenantHistory
    patience_s: float
    """Seconds after which it gives up to wait for who writes."""

    async def begin(self) -> Any:
        """Keep others from moving the same tenant, and return its row; nothing of the platform is locked as yet.

        Raises:
            RestoreUnderWay, NotInPlace, FleetUnderWay, MigratedBeyond: it cannot be moved now.
        """
        async with glance(self.connection):
            row: Any = await self.connection.fetchrow(_TENANT.replace("FOR UPDATE", ""), self.tenant_id)
        self._demand_in_place(row)
        if not await self.connection.fetchval(_ALONE, f"restore {self.tenant_id}"):
            raise RestoreUnderWay(slug=row["slug"])
        async with glance(self.connection):
            await self._demand_no_run()
        return row

    async def demand_nothing_waits(self, slug: str) -> None:
        """Pass if nothing is set aside for the tenant.

        Raises:
            WaitsForConfirmation: something is.
            BeingDestroyed: something is that was confirmed, and is not destroyed yet.
        """
        async with glance(self.connection):
            noted: Any = await self.connection.fetchrow(_WAITING, self.tenant_id)
        if noted is not None:
            raise (WaitsForConfirmation if noted["state"] == "set_aside" else BeingDestroyed)(slug=slug)

    async def move_in(self, home: Home, *, memberships: str, made_at: Any) -> UUID:
        """Let the tenant live in a home at head that was filled for it, and return under which id what it had is kept.

        `memberships` are the statements that let the home's role in, for which others may have to wait.

        Raises:
            StillBusy, NotInPlace, FleetUnderWay, MigratedBeyond: it cannot be moved now.
        """
        aside_id = new_id()

        async def work(row: Any) -> None:
            connection, former = self.connection, Home(row["schema_name"], row["role_name"])
            kept = Home.of(aside_id)
            await connection.execute(memberships)
            await connection.execute(renaming_sql(former, kept, tenant_roles=self.tenant_roles))
            await connection.execute(_MOVE, self.tenant_id, home.schema, home.role, self.history.head)
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
            BeingDestroyed: what was set aside was confirmed, and is not destroyed yet.
            UndoneAlready, NotUndone: they have done so already.
            LeftBehind: what is set aside was not migrated to the head of this code.
            StillBusy, NotInPlace, FleetUnderWay, MigratedBeyond: it cannot be moved now.
        """
        noted: Any = None

        async def work(row: Any) -> None:
            nonlocal noted
            connection = self.connection
            noted = await connection.fetchrow(_WAITING, self.tenant_id)
            aside: Any = await connection.fetchrow(_TENANT, noted["aside_id"]) if noted else None
            if aside is None:
                raise NothingWaits(slug=slug)
            if aside["state"] != "set_aside":
                raise BeingDestroyed(slug=slug)
            if aside["revision"] != self.history.head:
                raise LeftBehind(slug=slug, revision=aside["revision"], head=self.history.head)
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
        loop, connection = asyncio.get_running_loop(), self.connection
        deadline, attempt_ms = loop.time() + self.patience_s, _ATTEMPT_MS
        await connection.execute(LETS_GO)
        while True:
            try:
                async with connection.transaction():
                    row = await self._locked(attempt_ms)
                    await work(row)
                    await connection.execute(announcement_sql(self.tenant_id))
                return
            except _HELD as error:
                holders = await holders_of(connection, self.tenant_id)
                if loop.time() > deadline:
                    raise await self._still_busy(holders) from error
            attempt_ms = _ATTEMPT_MS
            if any(holder.is_autovacuum for holder in holders):
                attempt_ms = await connection.fetchval(_DEADLOCK_MS) + _FOR_AUTOVACUUM_MS
            await asyncio.sleep(_PAUSE_S * (1 + random.random()))  # noqa: S311 - so that two do not meet again

    async def _locked(self, attempt_ms: int) -> Any:
        """Return the row of the tenant behind all locks. Those on its tables are had within a time, or none of them."""
        connection = self.connection
        await connection.execute(f"SET LOCAL lock_timeout = {attempt_ms}; {_NO_RUN}")
        await self._demand_no_run()
        row: Any = await connection.fetchrow(_TENANT, self.tenant_id)
        self._demand_in_place(row)
        schema = quoted(row["schema_name"])
        tables = ", ".join(f"{schema}.{quoted(name)}" for name in await table_names(connection, row["schema_name"]))
        # A lock_timeout is for each of them anew, and behind the first lock others wait.
        locking = f"SET LOCAL statement_timeout = {attempt_ms}; LOCK TABLE {tables} IN EXCLUSIVE MODE"
        await connection.execute(f"{locking}; {_BEHIND_THE_TABLES}")
        return row

    def _demand_in_place(self, row: Any) -> None:
        if row is None or row["state"] not in LIVING:
            raise NotInPlace(slug=row["slug"] if row else self.tenant_id, state=row["state"] if row else "unknown")
        if row["revision"] not in self.history.revisions:
            raise MigratedBeyond(slug=row["slug"], revision=row["revision"], head=self.history.head)

    async def _still_busy(self, holders: Sequence[Holder]) -> StillBusy:
        slug = await self.connection.fetchval("SELECT slug FROM platform.tenants WHERE id = $1", self.tenant_id)
        told = ", ".join(map(str, holders)) or "others"
        return StillBusy(slug=slug, seconds=round(self.patience_s), holders=told)

    async def _demand_no_run(self) -> None:
        holder = await living_holder(self.connection)
        if holder is not None:
            raise FleetUnderWay(host=holder["host"], pid=holder["pid"])
