"""Puts a tenant back to what an archive of it has: filled beside it, and moved into its place in the same transaction.

Whoever is killed has done nothing. What the platform says of the tenant stays as it is: slug, domains, plan, terms and
state are no part of what is put back.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from msgspec import Struct

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection
from leasehold.tenancy.archive.filling import Filling
from leasehold.tenancy.archive.importing import Importer
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.audit.owner import record_restore
from leasehold.tenancy.fleet.replay import binding
from leasehold.tenancy.owner import LETS_GO, Owner
from leasehold.tenancy.provision import empty_schema_sql, memberships_sql
from leasehold.tenancy.purge import Purger, condemn
from leasehold.tenancy.restores.homes import Home
from leasehold.tenancy.restores.moving import Move
from leasehold.tenancy.restores.refusals import AnotherTenants, ChangedMeanwhile, NothingWaits

_PATIENCE_S = 60.0
# One whose platform was taken over has no schema yet, and nothing that could be kept.
_LIVES = """
SELECT 1 FROM platform.tenants t
 WHERE id = $1 AND state NOT IN ('purging', 'purged')
   AND pg_catalog.to_regnamespace(quote_ident(t.schema_name)) IS NOT NULL
"""
# First of all, as a move does it: behind one that is just ending, all that is read is as it left it.
_TENANT = "SELECT slug, schema_name FROM platform.tenants WHERE id = $1 FOR UPDATE"
_NOTED = "SELECT aside_id, made_at, is_undone FROM platform.tenant_restores WHERE tenant_id = $1"

_log = structlog.get_logger(__name__)


class PutBack(Struct, frozen=True):
    """A tenant that was put back."""

    id: UUID
    slug: str
    made_at: Any
    """The moment to which it was put back."""
    revision: str
    archive_revision: str
    rows: int
    bytes: int
    aside_id: UUID
    """Under which what it had is kept."""


class Kept(Struct, frozen=True):
    """What was set aside for a tenant when somebody looked."""

    aside_id: UUID
    is_undone: bool
    """Whether it is the earlier state, and not what the tenant had before."""


class Exchanged(Struct, frozen=True):
    """A tenant that has again what it had, or again the earlier state."""

    id: UUID
    slug: str
    made_at: Any
    is_undone: bool
    """Whether it has what it had before."""
    aside_id: UUID


@dataclass(frozen=True, slots=True)
class Restorer:
    """Puts tenants back, on connections of the owner."""

    importer: Importer
    owner: Owner
    purger: Purger
    tenant_roles: bool
    patience_s: float = field(default=_PATIENCE_S)
    """Seconds for which it waits for those who write, or a little longer."""

    async def lives(self, tenant_id: UUID) -> bool:
        """Tell whether there is a tenant in whose place something could be put."""
        async with self.owner.connection() as connection:
            return bool(await connection.fetchval(_LIVES, tenant_id))

    async def put_back(
        self, archive: ArchiveFile, key: ArchiveKey, tenant_id: UUID, *, by: Actor, progress: Progress = SILENT
    ) -> PutBack:
        """Give a tenant what an archive of it has, and keep what it had until that is confirmed or undone.

        It is served all the time. While the last step is taken, requests that write wait for less than a second; where
        autovacuum has to give way, for a second and a half. Afterwards a request that was in the middle, or in a
        process that has not heard of it, is asked to come back.

        Raises:
            AnotherTenants: the archive is of another tenant.
            NotInPlace, WaitsForConfirmation, BeingDestroyed, RestoreUnderWay, FleetUnderWay, StillBusy, MigratedBeyond:
            it cannot be put back now.
            NoOwner, ArchiveRefused, FleetNotReady, FingerprintMismatch, LiveRevisionFailed, Unrenderable,
            DatabaseUnavailable: as for an import.
        """
        manifest, importer = archive.manifest, self.importer
        async with importer.begun(archive, progress=progress) as connected:
            driver = connected.driver
            move = self.move(driver, tenant_id)
            row = await move.begin()
            if manifest.tenant.id != tenant_id:
                raise AnotherTenants(archived=manifest.tenant.slug, slug=row["slug"])
            await move.demand_nothing_waits(row["slug"])
            expected = await importer.filler.expected(driver)
            home = Home.new()
            target = importer.target(home.schema, home.role)
            await driver.execute(empty_schema_sql(target, tenant_roles=self.tenant_roles))
            filling = Filling(importer.filler, archive, key, connected, target, tenant_id, progress)
            await filling.fill()
            await filling.grant()
            changes = {"made_at": manifest.made_at, "revision": manifest.revision}
            await record_restore(driver, tenant_id, by, "tenant.put_back", changes=changes)
            await filling.demand(expected)
            memberships = memberships_sql(target) if self.tenant_roles else ""
            aside_id = await move.move_in(home, memberships=memberships, made_at=manifest.made_at)
        head = importer.filler.history.head
        _log.info("tenant_put_back", tenant=str(tenant_id), aside=str(aside_id))
        return PutBack(
            tenant_id, row["slug"], manifest.made_at, head, manifest.revision, manifest.rows, manifest.bytes, aside_id
        )

    async def undo(self, tenant_id: UUID, *, by: Actor) -> Exchanged:
        """Give a tenant what it had before it was put back, and keep the earlier state in its place.

        Raises:
            UndoneAlready: it has that.
            NothingWaits: nothing is kept.
            LeftBehind: what is set aside was not migrated to the head of this code.
            BeingDestroyed, NotInPlace, RestoreUnderWay, FleetUnderWay, StillBusy, MigratedBeyond: it cannot be done
            now.
            NoOwner, DatabaseUnavailable: as for any change of the owner.
        """
        return await self._exchange(tenant_id, by, is_undone=True)

    async def redo(self, tenant_id: UUID, *, by: Actor) -> Exchanged:
        """Give a tenant the earlier state again, after that was undone.

        Raises:
            NotUndone: it has that.
            NothingWaits, LeftBehind, BeingDestroyed, NotInPlace, RestoreUnderWay, FleetUnderWay, StillBusy,
            MigratedBeyond, NoOwner, DatabaseUnavailable: as for `undo`.
        """
        return await self._exchange(tenant_id, by, is_undone=False)

    async def _exchange(self, tenant_id: UUID, by: Actor, *, is_undone: bool) -> Exchanged:
        async with self.owner.connection() as connection, connection.transaction():
            move = self.move(connection, tenant_id)
            row = await move.begin()
            noted = await move.exchange(row["slug"], is_undone=is_undone)
            await connection.execute(binding(noted["schema_name"]))
            action = "tenant.put_back_undone" if is_undone else "tenant.put_back_redone"
            await record_restore(connection, tenant_id, by, action, changes={"made_at": noted["made_at"]})
        _log.info("tenant_exchanged", tenant=str(tenant_id), aside=str(noted["aside_id"]))
        return Exchanged(tenant_id, row["slug"], noted["made_at"], is_undone, noted["aside_id"])

    async def confirm(self, tenant_id: UUID, *, by: Actor, seen: Kept | None = None) -> Exchanged:
        """Destroy what is set aside for a tenant, with a certificate; who was killed in the middle asks again.

        `seen` is what whoever confirms it has seen; without it, it is whatever is set aside.

        Raises:
            NothingWaits: nothing is set aside.
            ChangedMeanwhile: it is something else than what was seen.
            NoOwner, DatabaseUnavailable: as for any change of the owner.
            asyncpg.PostgresError: as for `Purger.purge`.
        """
        async with self.owner.connection() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '10s'; {LETS_GO}")
            row: Any = await connection.fetchrow(_TENANT, tenant_id)
            noted: Any = await connection.fetchrow(_NOTED, tenant_id)
            if noted is None:
                raise NothingWaits(slug=row["slug"] if row else tenant_id)
            if seen is not None and seen != Kept(noted["aside_id"], noted["is_undone"]):
                raise ChangedMeanwhile(slug=row["slug"])
            if await condemn(connection, noted["aside_id"]):
                await connection.execute(binding(row["schema_name"]))
                changes = {"made_at": noted["made_at"], "aside_id": str(noted["aside_id"])}
                await record_restore(connection, tenant_id, by, "tenant.put_back_confirmed", changes=changes)
        await self.purger.purge(noted["aside_id"], by=by)
        return Exchanged(tenant_id, row["slug"], noted["made_at"], noted["is_undone"], noted["aside_id"])

    def move(self, connection: DriverConnection, tenant_id: UUID) -> Move:
        """Return a move of a tenant, on a connection that is in a transaction."""
        return Move(connection, tenant_id, self.tenant_roles, self.importer.filler.history, self.patience_s)
