"""The store of backups: which there are, the newest at a time, and the way of one to a file.

Every object in it is written once, as a whole or not at all, and never changed: so a store may forbid changes.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, suppress
from datetime import datetime
from io import RawIOBase
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Protocol, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from leasehold.platform.backups.names import (
    RUNS,
    TENANTS,
    archive_path,
    backups_in,
    begun_path,
    folder,
    record_path,
    runs_in,
    unfinished_in,
)
from leasehold.platform.backups.refusals import BackupExchanged, BackupGone, StoreRefuses
from leasehold.platform.backups.schemas import Backup, Marker, RunBegun, RunRecord
from leasehold.tenancy.archive.landing import as_not_writable, landing
from leasehold.tenancy.archive.manifest import AnyManifest, Manifest
from leasehold.tenancy.archive.reading import ArchiveFile, PlatformArchiveFile
from leasehold.tenancy.archive.refusals import ArchiveRefused
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.writing import Sink

S = TypeVar("S", bound=Struct)


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

    def open(self, path: str) -> RawIOBase:
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
        return backups_in(tenant_id, await self.found(tenant_id))

    async def found(self, tenant_id: UUID | None) -> list[tuple[str, int]]:
        """Return all that is kept for a tenant, or for the platform (None), with the sizes, backups or not.

        Raises:
            StoreRefuses: the store does not answer, or refuses.
        """
        return [found async for found in self.objects.below(folder(tenant_id))]

    async def newest(self, tenant_id: UUID | None, *, at: datetime | None = None) -> Backup | None:
        """Return the newest backup of a tenant or of the platform, or the newest that was made at a time or before it.

        A marker whose archive is missing is none.

        Raises:
            StoreRefuses: the store does not answer, or refuses.
        """
        backups = await self.backups(tenant_id)
        return next((backup for backup in backups if backup.bytes and (at is None or backup.at <= at)), None)

    async def fetch(self, backup: Backup, to: Path) -> None:
        """Write the archive of a backup to a file that is not there yet, and that is there as a whole or not at all.

        Memory does not grow with it. That it is not damaged, and sealed by the passphrase, is for whoever opens it to
        see; that it is of the tenant and of the time, or the one that a marker was made of, is seen here.

        Raises:
            StoreRefuses: the store does not answer, or refuses.
            BackupGone: it was deleted meanwhile.
            BackupExchanged: the archive is another one than the name or the marker says.
            ArchiveRefused: the file cannot be written, or is no archive.
        """
        try:
            marker = await self._marker(backup)
            with landing(to) as file:
                async for piece in self.objects.pieces(backup.archive):
                    file.write(piece)
                file.flush()
                with _opened(backup, file.partial) as archive:
                    _demand_what_was_meant(backup, archive, marker)
        except FileNotFoundError as error:
            raise BackupGone(path=backup.archive) from error

    @asynccontextmanager
    async def opened(self, backup: Backup) -> AsyncGenerator[ArchiveFile | PlatformArchiveFile]:
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
                    file.flush()
                except FileNotFoundError as error:
                    raise BackupGone(path=backup.archive) from error
            kind = PlatformArchiveFile if backup.tenant_id is None else ArchiveFile
            archive = stack.enter_context(kind(Path(backup.archive), file.raw))
            _demand_what_was_meant(backup, archive, marker)
            yield archive

    async def _marker(self, backup: Backup) -> Marker | None:
        if not backup.is_marker:
            return None
        try:
            return msgspec.json.decode(await self.objects.read(backup.path), type=Marker)
        except msgspec.MsgspecError as error:
            raise BackupExchanged(archive=backup.archive, path=backup.path) from error

    def newest_archive(self, backup: Backup, key: ArchiveKey) -> tuple[Manifest, str] | None:
        """Return the manifest of a backup of a tenant and its seal, read from the end of the archive, blocking.

        None where it is missing, damaged, another one than it should be, or made by another key: it is not one that a
        new backup could be compared with.

        Raises:
            StoreRefuses: the store does not answer, or refuses.
        """
        try:
            with ArchiveFile(Path(backup.archive), self.objects.open(backup.archive)) as archive:
                if archive.manifest.key != key.derivation:
                    return None
                archive.demand_seal(key)
                demand_same(backup, archive.manifest)
                return archive.manifest, archive.seal
        except FileNotFoundError:
            return None
        except StoreRefuses:
            raise
        except ArchiveRefused:
            return None

    async def runs(self) -> list[tuple[datetime, bool]]:
        """Return when runs began, the latest first, and whether they have ended."""
        return runs_in([path async for path, _ in self.objects.below(RUNS)])

    async def unfinished_runs(self, *, before: datetime) -> list[str]:
        """Return what runs began to write before a time, and were killed at."""
        return unfinished_in([path async for path, _ in self.objects.below(RUNS)], before=before)

    async def begun(self, started_at: datetime) -> RunBegun | None:
        """Return what a run wrote at its beginning, None if nobody can read that."""
        return await self._read(begun_path(started_at), RunBegun)

    async def record(self, started_at: datetime) -> RunRecord | None:
        """Return what a run wrote at its end, None if it has not, or nobody can read that."""
        return await self._read(record_path(started_at), RunRecord)

    async def _read(self, path: str, kind: type[S]) -> S | None:
        with suppress(FileNotFoundError, msgspec.MsgspecError):
            return msgspec.json.decode(await self.objects.read(path), type=kind)
        return None

    def write(self, path: str, content: Struct) -> None:
        """Write a small object, blocking."""
        with self.objects.writing(path) as sink:
            sink.write(msgspec.json.encode(content))


def demand_same(backup: Backup, manifest: AnyManifest) -> None:
    """Pass if a manifest is of the tenant and of the moment that the names of a backup say.

    Raises:
        BackupExchanged: somebody has put another archive in its place.
    """
    tenant_id = manifest.tenant.id if isinstance(manifest, Manifest) else None
    if archive_path(tenant_id, manifest.made_at) != backup.archive:
        raise BackupExchanged(archive=backup.archive, path=backup.path)


def _demand_what_was_meant(backup: Backup, archive: ArchiveFile | PlatformArchiveFile, marker: Marker | None) -> None:
    demand_same(backup, archive.manifest)
    if marker and (archive.seal != marker.seal or marker.archive != backup.archive):
        raise BackupExchanged(archive=backup.archive, path=backup.path)


def _opened(backup: Backup, file: Path) -> ArchiveFile | PlatformArchiveFile:
    return PlatformArchiveFile(file) if backup.tenant_id is None else ArchiveFile(file)
