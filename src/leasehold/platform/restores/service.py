"""What the operator does to put a tenant back. Each step lasts, so each is a unit of work of its own."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.platform.backups.refusals import StoreRefuses, UnknownTenants
from leasehold.platform.backups.repository import backups_of
from leasehold.platform.backups.schemas import Backup
from leasehold.platform.backups.store import BackupStore
from leasehold.platform.restores.refusals import NoBackup, NoBackupOfTime, NobodyCalled
from leasehold.platform.restores.repository import RestoreReads
from leasehold.platform.restores.schemas import Waiting
from leasehold.tenancy.alone import needing
from leasehold.tenancy.archive.importing import Destination, Imported, Importer
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.refusals import ArchiveRefused
from leasehold.tenancy.owner import NoOwner
from leasehold.tenancy.restores.refusals import AnotherTenants, NothingWaits
from leasehold.tenancy.restores.restoring import Exchanged, Kept, PutBack, Restorer

OpenSession = Callable[[], AbstractAsyncContextManager[PlatformSession]]


class RestoreService:
    """Restores of tenants, in their place and beside them."""

    def __init__(self, open_session: OpenSession, importer: Importer, restorer: Restorer) -> None:
        self._open_session = open_session
        self._importer = importer
        self._restorer = restorer

    @asynccontextmanager
    async def archive(
        self, store: BackupStore, tenant: str, *, at: datetime | None
    ) -> AsyncGenerator[tuple[ArchiveFile, Backup]]:
        """Lend the newest archive of a tenant, or the newest as it was at a time or before; by its slug or its id.

        Of a purged tenant it is found by the slug that it had, then if a time is given. While it is lent, nobody
        deletes all backups of the tenant for being purged: it may be about to come back.

        Raises:
            NoOwner: this process has no owner URL.
            NobodyCalled: no tenant and no backup is called so.
            NoBackup, NoBackupOfTime: there is none, or none of that time.
            BackupRefused, ArchiveRefused: the store does not give it, or it is no archive.
        """
        tenant_id = await self._find(store, tenant, at=at)
        if self._importer.owner_url is None:
            raise NoOwner
        async with needing(self._importer.owner_url, backups_of(tenant_id)):
            backup = await store.newest(tenant_id, at=at)
            if backup is None and at is not None:
                raise NoBackupOfTime(tenant=tenant, at=at.isoformat(timespec="seconds"))
            if backup is None:
                raise NoBackup(tenant=tenant)
            async with store.opened(backup) as archive:
                if isinstance(archive, ArchiveFile):
                    yield archive, backup

    async def beside(
        self, archive: ArchiveFile, *, slug: str, passphrase: str, by: Actor, progress: Progress = SILENT
    ) -> Imported:
        """Make another tenant of an archive, with an id of its own and without the domains.

        Raises:
            ArchiveRefused, InvalidSlug, SlugTaken, NoOwner, FleetNotReady: see `Importer.load`.
        """
        key = await asyncio.to_thread(archive.key, passphrase)
        to = Destination(slug, with_domains=False, with_new_id=True)
        return await self._importer.load(archive, key, to=to, by=by, progress=progress)

    async def in_place(
        self, archive: ArchiveFile, *, tenant: str | None, passphrase: str, by: Actor, progress: Progress = SILENT
    ) -> PutBack | Imported:
        """Put the tenant of an archive back; where it was purged it comes back as it was, its id included.

        `tenant` is whom the operator means, by slug or id, where the archive was not found by that. A slug that nobody
        has may be the one of the archive.

        Raises:
            AnotherTenants: the archive is another tenant's.
            IdInUse: the tenant has no place in which it could be put, and its id is not free.
            ArchiveRefused, SlugTaken, NoOwner, FleetNotReady: see `Restorer.put_back` and `Importer.load`.
        """
        key = await asyncio.to_thread(archive.key, passphrase)
        archived = archive.manifest.tenant
        if tenant is not None:
            meant = await self._living(tenant)
            if meant != archived.id and (meant is not None or tenant != archived.slug):
                raise AnotherTenants(archived=archived.slug, slug=tenant)
        if await self._restorer.lives(archived.id):
            return await self._restorer.put_back(archive, key, archived.id, by=by, progress=progress)
        to = Destination(with_own_id=True)
        return await self._importer.load(archive, key, to=to, by=by, progress=progress)

    async def waiting(self) -> list[Waiting]:
        """Return all tenants that were put back and not confirmed, the longest waiting first."""
        async with self._open_session() as session:
            return await RestoreReads(session).waiting()

    async def undo(self, tenant: str, *, by: Actor) -> Exchanged:
        """Give a tenant back what it had, and keep the earlier state.

        Raises:
            UnknownTenants: there is no such tenant.
            ArchiveRefused, NoOwner: see `Restorer.undo`.
        """
        return await self._restorer.undo(await self._demand(tenant), by=by)

    async def redo(self, tenant: str, *, by: Actor) -> Exchanged:
        """Give a tenant the earlier state again, after that was undone.

        Raises:
            UnknownTenants: there is no such tenant.
            ArchiveRefused, NoOwner: see `Restorer.redo`.
        """
        return await self._restorer.redo(await self._demand(tenant), by=by)

    async def waiting_for(self, tenant: str) -> Waiting:
        """Return what is kept for a tenant.

        Raises:
            UnknownTenants: there is no such tenant.
            NothingWaits: nothing is.
        """
        tenant_id = await self._demand(tenant)
        found = next((one for one in await self.waiting() if one.tenant_id == tenant_id), None)
        if found is None:
            raise NothingWaits(slug=tenant)
        return found

    async def confirm(self, seen: Waiting, *, by: Actor) -> Exchanged:
        """Destroy what is kept for a tenant, if it is still what was seen.

        Raises:
            ArchiveRefused, NoOwner: see `Restorer.confirm`.
        """
        return await self._restorer.confirm(seen.tenant_id, by=by, seen=Kept(seen.aside_id, seen.is_undone))

    async def _demand(self, tenant: str) -> UUID:
        async with self._open_session() as session:
            reads = RestoreReads(session)
            found = await reads.find(tenant) or _id_in(tenant)
            if found is None or not await reads.has_data(found):
                raise UnknownTenants(slugs=tenant)
        return found

    async def _living(self, tenant: str) -> UUID | None:
        async with self._open_session() as session:
            found = await RestoreReads(session).find(tenant)
        return found or _id_in(tenant)

    async def _find(self, store: BackupStore, tenant: str, *, at: datetime | None) -> UUID:
        if found := await self._living(tenant):
            return found
        async with self._open_session() as session:
            living = await RestoreReads(session).with_data()
        gone = [tenant_id for tenant_id in await store.tenants() if tenant_id not in living]
        called = await _called(store, tenant, gone, at=at)
        if not called and at is not None:  # so who has none of that time is told that
            called = await _called(store, tenant, gone, at=None)
        if not called:
            raise NobodyCalled(tenant=tenant)
        return max(called)[1]


async def _called(
    store: BackupStore, slug: str, tenant_ids: Sequence[UUID], *, at: datetime | None
) -> list[tuple[datetime, UUID]]:
    """Return which tenants had a slug when they were last backed up, or at a time, and when that was."""
    called: list[tuple[datetime, UUID]] = []
    for tenant_id in tenant_ids:
        for backup in await store.backups(tenant_id):
            if not backup.is_marker and (at is None or backup.at <= at):
                found = await asyncio.to_thread(_slug_in, store, backup)
                if found == slug:
                    called.append((backup.at, tenant_id))
                if found is not None:
                    break
    return called


def _slug_in(store: BackupStore, backup: Backup) -> str | None:
    """Return the slug that a tenant had; None where the archive is gone or damaged, as an older one need not be."""
    try:
        with store.objects.open(backup.archive) as stream, ArchiveFile(Path(backup.archive), stream) as archive:
            return archive.manifest.tenant.slug
    except StoreRefuses:
        raise
    except (FileNotFoundError, ArchiveRefused):
        return None


def _id_in(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
