"""Drills: the newest backups are restored into scratch, which nobody sees, and of which nothing is left."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from leasehold.platform.backups.refusals import UnknownTenants
from leasehold.platform.backups.schemas import Backup
from leasehold.platform.backups.store import BackupStore
from leasehold.platform.restores.reasons import NO_BACKUP, REASONS, reason_of
from leasehold.platform.restores.repository import RestoreReads
from leasehold.platform.restores.schemas import Drilled
from leasehold.platform.restores.service import OpenSession
from leasehold.tenancy.archive.platform_rehearsing import PlatformRehearsal
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.rehearsing import Rehearsal
from leasehold.tenancy.owner import NoOwner


class DrillService:
    """Drills on the backups of an installation."""

    def __init__(
        self,
        open_session: OpenSession,
        store: BackupStore,
        tenants: Rehearsal,
        platform: PlatformRehearsal,
        *,
        passphrase: str,
    ) -> None:
        self._open_session = open_session
        self._store = store
        self._tenants = tenants
        self._platform = platform
        self._passphrase = passphrase

    async def tenants(self, wanted: Sequence[str], *, sample: int | None) -> dict[UUID, str]:
        """Return whose backups are to be restored: those that are named, all that live, or some of these by chance.

        Raises:
            UnknownTenants: there is no tenant of a name.
        """
        async with self._open_session() as session:
            living = await RestoreReads(session).living()
        if wanted:
            ids = {slug: tenant_id for tenant_id, slug in living.items()}
            if unknown := [slug for slug in wanted if slug not in ids]:
                raise UnknownTenants(slugs=", ".join(unknown))
            return {ids[slug]: slug for slug in wanted}
        if sample is None or sample >= len(living):
            return living
        chosen = random.sample(sorted(living), sample)
        return {tenant_id: living[tenant_id] for tenant_id in chosen}

    async def drill(self, tenant_id: UUID | None, what: str, progress: Progress = SILENT) -> Drilled:
        """Restore the newest backup of a tenant, or of the platform, and return what came of it, whatever that is.

        Raises:
            NoOwner: this process has no owner URL.
        """
        began, backup, done = time.monotonic(), None, _Restored()
        reason: str | None = None
        try:
            backup = await self._store.newest(tenant_id)
            if backup is None:
                reason = NO_BACKUP
            else:
                done = await self._restored(backup, progress)
        except NoOwner:
            raise
        except REASONS as error:
            reason = reason_of(error)
        seconds = round(time.monotonic() - began, 3)
        at = backup.at if backup else None
        return Drilled(what, tenant_id, at, done.rows, done.bytes, seconds, reason, done.is_loaded)

    async def _restored(self, backup: Backup, progress: Progress) -> "_Restored":
        async with self._store.opened(backup) as archive:
            key = await asyncio.to_thread(archive.key, self._passphrase)
            manifest = archive.manifest
            if isinstance(archive, ArchiveFile):
                await self._tenants.run(archive, key, progress=progress)
                return _Restored(manifest.rows, manifest.bytes, is_loaded=True)
            is_loaded = await self._platform.run(archive, key, progress=progress)
            return _Restored(manifest.rows, manifest.bytes, is_loaded)


@dataclass(frozen=True, slots=True)
class _Restored:
    rows: int = 0
    bytes: int = 0
    is_loaded: bool = False
