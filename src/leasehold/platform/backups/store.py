"""The store of backups: which there are, the newest at a time, and the way of one to a file.

Every object in it is written once, as a whole or not at all, and never changed: so a store may forbid changes.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, Protocol
from uuid import UUID

import msgspec

from leasehold.platform.backups.names import TENANTS, backups_in, folder
from leasehold.platform.backups.refusals import BackupExchanged, BackupGone
from leasehold.platform.backups.schemas import Backup, Marker
from leasehold.tenancy.archive.landing import as_not_writable, landing
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.writing import Sink


class Objects(Protocol):
    """Where bytes are kept under names. All of it raises StoreRefuses where the store does not do it."""

    url: str

    def below(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        """Yield the names below a folder, with the sizes, in no order."""
        ...

    async def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right below a folder."""
        ...

    async def read(self, path: str) -> bytes:
        """Return a small object, or raise FileNotFoundError."""
        ...

    def pieces(self, path: str) -> AsyncIterator[bytes]:
        """Yield an object piece by piece, or raise FileNotFoundError."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """Open an object to read here and there in it, blocking; or raise FileNotFoundError."""
        ...

    def writing(self, path: str) -> AbstractContextManager[Sink]:
        """Lend what writes an object, blocking, that is there once this has ended well, and otherwise never."""
        ...

    async def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; those that are not there are no fault."""
        ...


class BackupStore:
    """The backups of one installation."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    @property
    def url(self) -> str:
        """Where it is."""
        return self.objects.url

    async def tenants(self) -> list[UUID]:
        """Return the ids of all tenants that have backups, of purged ones too.

        Raises:
            StoreRefuses: the store does not answer, or refuses.
        """
        found: list[UUID] = []
        for name in await self.objects.folders(TENANTS):
            try:
                found.append(UUID(name))
            except ValueError:  # somebody else's
                continue
        return sorted(found)

    async def backups(self, tenant_id: UUID | None) -> list[Backup]:
        """Return all backups of a tenant, or of the platform (None), the newest first.

        Raises:
            StoreRefuses: the store does not answer, or refuses.
        """
        return backups_in(tenant_id, [found async for found in self.objects.below(folder(tenant_id))])

    async def newest(self, tenant_id: UUID | None, *, at: datetime | None = None) -> Backup | None:
        """Return the newest backup of a tenant or of the platform, or the newest that was made at a time or before it.

        Raises:
            StoreRefuses: the store does not answer, or refuses.
        """
        backups = await self.backups(tenant_id)
        return next((backup for backup in backups if at is None or backup.at <= at), None)

    async def fetch(self, backup: Backup, to: Path) -> None:
        """Write the archive of a backup to a file that is not there yet, and that is there as a whole or not at all.

        Memory does not grow with it. That it holds the tenant and is not damaged is for whoever opens it to see; that
        it is the archive which a marker was made of is seen here.

        Raises:
            StoreRefuses: the store does not answer, or refuses.
            BackupGone: it was deleted meanwhile.
            BackupExchanged: the archive is another one than the marker was made of.
            ArchiveRefused: the file cannot be written, or is no archive.
        """
        try:
            marker = await self._marker(backup)
            with landing(to) as file:
                async for piece in self.objects.pieces(backup.archive):
                    file.write(piece)
                file.flush()
                if marker:
                    self._demand(backup, marker, file.partial)
        except FileNotFoundError as error:
            raise BackupGone(path=backup.archive) from error

    @asynccontextmanager
    async def opened(self, backup: Backup) -> AsyncGenerator[ArchiveFile]:
        """Lend the archive of a backup, from a file without a name: nothing is left of it, however this ends.

        Raises:
            StoreRefuses, BackupGone, BackupExchanged, ArchiveRefused: as for `fetch`.
        """
        with ExitStack() as stack:
            with as_not_writable(Path(gettempdir())):
                file = stack.enter_context(TemporaryFile())
                try:
                    marker = await self._marker(backup)
                    async for piece in self.objects.pieces(backup.archive):
                        file.write(piece)
                except FileNotFoundError as error:
                    raise BackupGone(path=backup.archive) from error
            archive = stack.enter_context(ArchiveFile(Path(backup.archive), file))
            if marker:
                _demand_same(archive, marker, backup)
            yield archive

    async def _marker(self, backup: Backup) -> Marker | None:
        if not backup.is_marker:
            return None
        try:
            return msgspec.json.decode(await self.objects.read(backup.path), type=Marker)
        except msgspec.MsgspecError as error:
            raise BackupExchanged(archive=backup.archive, path=backup.path) from error

    def _demand(self, backup: Backup, marker: Marker, file: Path) -> None:
        with ArchiveFile(file) as archive:
            _demand_same(archive, marker, backup)


def _demand_same(archive: ArchiveFile, marker: Marker, backup: Backup) -> None:
    if archive.seal != marker.seal or marker.archive != backup.archive:
        raise BackupExchanged(archive=backup.archive, path=backup.path)
