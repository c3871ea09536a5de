"""What an admin does with archives. Exports and imports last, so each step of them is a unit of work of its own."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.database import PlatformSession
from leasehold.platform.archives.schemas import Exported
from leasehold.platform.tenants.repository import TenantRepository
from leasehold.platform.tenants.service import UnknownSlug
from leasehold.tenancy.archive.exporting import Exporter
from leasehold.tenancy.archive.importing import Destination, Imported, Importer
from leasehold.tenancy.archive.landing import landing
from leasehold.tenancy.archive.manifest import Manifest
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.audit import AuditLog

OpenSession = Callable[[], AbstractAsyncContextManager[PlatformSession]]


class ArchiveService:
    """Exports and imports of tenants."""

    def __init__(self, open_session: OpenSession, exporter: Exporter, importer: Importer) -> None:
        self._open_session = open_session
        self._exporter = exporter
        self._importer = importer

    async def export(
        self, slug: str, file: Path, *, passphrase: str, by: Actor, progress: Progress = SILENT
    ) -> Exported:
        """Write the archive of a tenant to a file that is not there yet, and return what is in it.

        The file is there, as a whole, once this returns, and not before. It is recorded before it is there: nobody gets
        an archive of which the logs do not know.

        Raises:
            UnknownSlug: there is no such tenant.
            ArchiveRefused: the tenant cannot be exported now, or the file not be written.
        """
        tenant_id = await self._find(slug)
        with landing(file) as sink:
            key = await asyncio.to_thread(ArchiveKey.new, passphrase)
            manifest = await self._exporter.export(tenant_id, sink, key, progress=progress)
            sink.settle()
            size = sink.tell()
            await self._record(manifest, by)
        return Exported(
            file=str(file),
            tenant_id=tenant_id,
            slug=manifest.tenant.slug,
            revision=manifest.revision,
            made_at=manifest.made_at,
            tables=len(manifest.tables),
            rows=manifest.rows,
            bytes=manifest.bytes,
            file_bytes=size,
        )

    async def load(
        self, file: Path, *, passphrase: str, to: Destination, by: Actor, progress: Progress = SILENT
    ) -> Imported:
        """Make the tenant of an archive, and return what it came to.

        Raises:
            ArchiveRefused, InvalidSlug, SlugTaken, NoOwner, FleetNotReady: see `Importer.load`.
        """
        with ArchiveFile(file) as archive:
            key = await asyncio.to_thread(archive.key, passphrase)
            return await self._importer.load(archive, key, to=to, by=by, progress=progress)

    async def _find(self, slug: str) -> UUID:
        async with self._open_session() as session:
            row = await TenantRepository(session=session).get_one_or_none(slug=slug)
            if row is None:
                raise UnknownSlug(slug=slug)
            return row.id

    async def _record(self, manifest: Manifest, by: Actor) -> None:
        async with self._open_session() as session:
            changes = created(made_at=manifest.made_at, revision=manifest.revision, rows=manifest.rows)
            await AuditLog(session, by).record_to(manifest.tenant.id, "tenant.exported", changes=changes)
