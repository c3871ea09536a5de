"""Brings back all tenants of a platform that was taken over: each out of its own backup, one after the other.

Each tenant is a transaction of its own, so whoever is cut off goes on with those that have no schema yet.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.platform.backups.store import BackupStore
from leasehold.platform.restores.reasons import NO_BACKUP, REASONS, reason_of
from leasehold.platform.restores.repository import RestoreReads
from leasehold.platform.restores.schemas import CameBack
from leasehold.platform.restores.service import OpenSession
from leasehold.tenancy.archive.importing import Destination, Importer
from leasehold.tenancy.archive.progress import Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.owner import NoOwner

Report = Callable[[CameBack], object]


class WholeService:
    """All tenants at once."""

    def __init__(self, open_session: OpenSession, store: BackupStore, importer: Importer, *, passphrase: str) -> None:
        self._open_session = open_session
        self._store = store
        self._importer = importer
        self._passphrase = passphrase

    async def homeless(self) -> dict[UUID, str]:
        """Return the slugs of all tenants that the registry has, and that have no schema."""
        async with self._open_session() as session:
            return await RestoreReads(session).homeless()

    async def bring_back(
        self, tenant_id: UUID, slug: str, *, at: datetime | None, by: Actor, progress: Progress
    ) -> CameBack:
        """Make a tenant of its newest backup, of a time or before, under its id; return what came of it.

        Raises:
            NoOwner: this process has no owner URL.
        """
        try:
            backup = await self._store.newest(tenant_id, at=at)
            if backup is None:
                return CameBack(slug, tenant_id, None, 0, NO_BACKUP)
            async with self._store.opened(backup) as archive:
                if not isinstance(archive, ArchiveFile):
                    return CameBack(slug, tenant_id, backup.at, 0, NO_BACKUP)
                key = await asyncio.to_thread(archive.key, self._passphrase)
                done = await self._importer.load(
                    archive, key, to=Destination(with_own_id=True), by=by, progress=progress
                )
        except NoOwner:
            raise
        except REASONS as error:
            return CameBack(slug, tenant_id, None, 0, reason_of(error))
        return CameBack(done.slug, done.id, backup.at, done.rows, None)
