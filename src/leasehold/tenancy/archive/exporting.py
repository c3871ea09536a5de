"""Writes the archive of a tenant, while the tenant goes on."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from uuid import UUID

from msgspec.structs import replace
from sqlalchemy import MetaData

from leasehold.core.clock import utc_now
from leasehold.core.database import DriverConnection
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.archive.copying import copy_out
from leasehold.tenancy.archive.manifest import FORMAT, ArchivedTable, Manifest
from leasehold.tenancy.archive.moving import SecretsMoving
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.refusals import PutBackMeanwhile
from leasehold.tenancy.archive.rewrapping import RowChange
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.shape import TableShape, staying
from leasehold.tenancy.archive.snapshot import Snapshot, snapshot
from leasehold.tenancy.archive.writing import ArchiveWriter, Sink
from leasehold.tenancy.secrets import SecretColumn

OpenSink = Callable[[datetime], AbstractContextManager[Sink]]
"""Is given the moment of the snapshot; lends where an archive can be written to, which is there if that ends well."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """Makes archives of the tenants of an installation, with the rights of the app."""

    url: str
    """Of the app's login, on PostgreSQL itself where there is one: the snapshot lasts as long as the export."""
    key: InstallationKey
    secrets: Sequence[SecretColumn]
    """The columns whose values are wrapped by the installation key."""
    metadata: MetaData
    tenant_roles: bool

    async def export(self, tenant_id: UUID, sink: Sink, key: ArchiveKey, *, progress: Progress = SILENT) -> Manifest:
        """Write an archive and return its manifest; it is whole once this returns, and until then it is none.

        Memory does not grow with the tenant: no table is held, nor any row for longer than it takes to compress it.

        Raises:
            UnknownTenant, NotExportable, BeingMigrated, Drifted: see `snapshot`.
            UnwrapFailed: a secret of the tenant was wrapped by another installation key.
            OSError, asyncpg.PostgresError: the database does not answer, or refuses.
        """
        async with snapshot(self.url, tenant_id, tenant_roles=self.tenant_roles) as seen:
            return await self._write(seen, utc_now(), sink, key, progress)

    async def export_changed(
        self,
        tenant_id: UUID,
        open_sink: OpenSink,
        key: ArchiveKey,
        *,
        since: Manifest | None,
        progress: Progress = SILENT,
    ) -> tuple[datetime, Manifest | None]:
        """Write an archive if it is another one than `since`, and return when the tenant was so, and its manifest.

        None as the manifest says that everything in it would be the same: not one byte of a row, and nothing that the
        platform knows of the tenant. That takes one pass over the rows, and a second one from the first difference on,
        both of them in one snapshot. The same key must have made both: only then are equal secrets wrapped alike.

        A tenant that is put back in the middle is exported once more.

        Raises:
            As for `export`, and what `open_sink` raises.
        """
        try:
            return await self._changed(tenant_id, open_sink, key, since, progress)
        except PutBackMeanwhile:
            return await self._changed(tenant_id, open_sink, key, since, progress)

    async def _changed(
        self, tenant_id: UUID, open_sink: OpenSink, key: ArchiveKey, since: Manifest | None, progress: Progress
    ) -> tuple[datetime, Manifest | None]:
        async with snapshot(self.url, tenant_id, tenant_roles=self.tenant_roles) as seen:
            at = utc_now()
            if since is not None and await self._is_as(since, seen, at, key, progress):
                return at, None
            with open_sink(at) as sink:
                return at, await self._write(seen, at, sink, key, progress)

    async def _write(self, seen: Snapshot, at: datetime, sink: Sink, key: ArchiveKey, progress: Progress) -> Manifest:
        shapes = self._shapes(seen)
        progress.on_start(len(shapes))
        with ArchiveWriter(sink) as writer:
            tables = [
                await write_table(seen.connection, shape, writer, progress, change=self._change(seen, shape, key))
                for shape in shapes
            ]
            manifest = self._manifest(seen, at, key, tables)
            writer.close_with(manifest, key)
        return manifest

    async def _is_as(self, since: Manifest, seen: Snapshot, at: datetime, key: ArchiveKey, progress: Progress) -> bool:
        """Compare a tenant with an archive of it, and end at the first difference."""
        shapes = self._shapes(seen)
        names = [(shape.name, shape.columns) for shape in shapes]
        found = self._manifest(seen, at, key, since.tables)
        found = replace(found, made_at=since.made_at, leasehold=since.leasehold)
        if found != since or names != [(table.name, table.columns) for table in since.tables]:
            return False
        for shape, table in zip(shapes, since.tables, strict=True):

            def take(piece: bytes) -> None:
                progress.on_bytes(len(piece))

            change = self._change(seen, shape, key)
            contents = await copy_out(seen.connection, shape.query(), take, change=change)
            if (contents.rows, contents.bytes, contents.sha256) != (table.rows, table.bytes, table.sha256):
                return False
        return True

    def _shapes(self, seen: Snapshot) -> list[TableShape]:
        excluded = staying(self.metadata)
        return [shape for shape in seen.tables if shape.name not in excluded]

    def _change(self, seen: Snapshot, shape: TableShape, key: ArchiveKey) -> RowChange | None:
        secrets = SecretsMoving(self.secrets, self.key, key, here=seen.ref.id, there=seen.ref.id)
        return secrets.outward(shape.name, shape.columns)

    def _manifest(self, seen: Snapshot, at: datetime, key: ArchiveKey, tables: Sequence[ArchivedTable]) -> Manifest:
        return Manifest(
            format=FORMAT,
            leasehold=version("leasehold"),
            installation=installation_mark(self.key),
            made_at=at,
            tenant=seen.tenant,
            revision=seen.ref.revision,
            key=key.derivation,
            tables=tuple(tables),
        )


async def write_table(
    connection: DriverConnection,
    shape: TableShape,
    writer: ArchiveWriter,
    progress: Progress,
    *,
    change: RowChange | None,
) -> ArchivedTable:
    """Write the rows of a table as a member of an archive, changed by `change`, and return what they come to."""
    with writer.member(f"tables/{shape.name}.copy") as write:

        def take(piece: bytes) -> None:
            write(piece)
            progress.on_bytes(len(piece))

        contents = await copy_out(connection, shape.query(), take, change=change)
    progress.on_table(f"exported {shape.name}, {contents.rows} rows", contents.bytes)
    return ArchivedTable(shape.name, shape.columns, contents.rows, contents.bytes, contents.sha256)


def installation_mark(key: InstallationKey) -> str:
    """Return what tells whether two archives come from one installation, and nothing else."""
    return key.derive("archive installation mark").hex()[:16]
