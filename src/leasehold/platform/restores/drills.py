"""Drills: the newest backups are restored into scratch, which nobody sees, and of which nothing is left."""

import asyncio
import random
import time
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from leasehold.core.errors import Problem
from leasehold.platform.backups.schemas import Backup
from leasehold.platform.backups.store import BackupStore
from leasehold.platform.restores.refusals import InAnotherFolder, NobodyCalled
from leasehold.platform.restores.repository import RestoreReads
from leasehold.platform.restores.schemas import Drilled
from leasehold.platform.restores.service import OpenSession
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.refusals import ArchiveRefused
from leasehold.tenancy.archive.rehearsing import Rehearsal
from leasehold.tenancy.fleet.live import LiveRevisionFailed
from leasehold.tenancy.fleet.rendering import Unrenderable
from leasehold.tenancy.owner import NoOwner
from leasehold.tenancy.provision import FingerprintMismatch

NO_BACKUP = "there is no backup"
_REASONS = (Problem, ArchiveRefused, FingerprintMismatch, LiveRevisionFailed, Unrenderable, asyncpg.PostgresError)


class DrillService:
    """Drills on the backups of an installation."""

    def __init__(self, open_session: OpenSession, store: BackupStore, rehearsal: Rehearsal, *, passphrase: str) -> None:
        self._open_session = open_session
        self._store = store
        self._rehearsal = rehearsal
        self._passphrase = passphrase

    async def tenants(self, wanted: Sequence[str], *, sample: int | None) -> dict[UUID, str]:
        """Return whose backups are to be restored: those that are named, all that live, or some of these by chance.

        Raises:
            NobodyCalled: there is no tenant of a name.
        """
        async with self._open_session() as session:
            living = await RestoreReads(session).living()
        if wanted:
            ids = {slug: tenant_id for tenant_id, slug in living.items()}
            if unknown := [slug for slug in wanted if slug not in ids]:
                raise NobodyCalled(tenant=", ".join(unknown))
            return {ids[slug]: slug for slug in wanted}
        if sample is None or sample >= len(living):
            return living
        chosen = random.sample(sorted(living), sample)
        return {tenant_id: living[tenant_id] for tenant_id in chosen}

    async def drill(self, tenant_id: UUID, slug: str, progress: Progress = SILENT) -> Drilled:
        """Restore the newest backup of a tenant into scratch, and return what came of it, also where it could not be.

        Raises:
            NoOwner: this process has no owner URL.
        """
        began, backup, rows, size = time.monotonic(), None, 0, 0
        reason: str | None = None
        try:
            backup = await self._store.newest(tenant_id)
            if backup is None:
                reason = NO_BACKUP
            else:
                rows, size = await self._restored(backup, progress)
        except NoOwner:
            raise
        except _REASONS as error:
            reason = error.detail if isinstance(error, Problem) else str(error)
        seconds = round(time.monotonic() - began, 3)
        at = backup.at if backup else None
        return Drilled(slug, tenant_id, at, rows, size, seconds, reason.rstrip(".") if reason else None)

    async def _restored(self, backup: Backup, progress: Progress) -> tuple[int, int]:
        """Restore a backup into scratch, and return its rows and bytes."""
        async with self._store.opened(backup) as archive:
            key = await asyncio.to_thread(archive.key, self._passphrase)
            _demand_of(archive, backup)
            await self._rehearsal.run(archive, key, progress=progress)
            return archive.manifest.rows, archive.manifest.bytes


def _demand_of(archive: ArchiveFile, backup: Backup) -> None:
    """Pass if an archive is of the tenant in whose folder it is.

    Raises:
        InAnotherFolder: it is not.
    """
    if archive.manifest.tenant.id != backup.tenant_id:
        raise InAnotherFolder(path=backup.archive, slug=archive.manifest.tenant.slug)
