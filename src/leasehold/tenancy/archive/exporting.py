"""Writes the archive of a tenant, while the tenant goes on."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from uuid import UUID

import asyncpg
from sqlalchemy import MetaData

from leasehold.core.clock import utc_now
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.archive.copying import copy_out
from leasehold.tenancy.archive.manifest import FORMAT, ArchivedTable, Manifest
from leasehold.tenancy.archive.moving import SecretsMoving
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.refusals import PutBackMeanwhile
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.shape import TableShape, staying
from leasehold.tenancy.archive.snapshot import Snapshot, snapshot
from leasehold.tenancy.archive.writing import ArchiveWriter, Sink
from leasehold.tenancy.secrets import SecretColumn


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
            PutBackMeanwhile: its tables went out from under its name.
            UnwrapFailed: a secret of the tenant was wrapped by another installation key.
            OSError, asyncpg.PostgresError: the database does not answer, or refuses.
        """
        async with snapshot(self.url, tenant_id, tenant_roles=self.tenant_roles) as seen:
            excluded = staying(self.metadata)
            shapes = [shape for shape in seen.tables if shape.name not in excluded]
            progress.on_start(len(shapes))
            with ArchiveWriter(sink) as writer, _told(seen):
                tables = [await self._write(seen, shape, writer, key, progress) for shape in shapes]
                manifest = Manifest(
                    format=FORMAT,
                    leasehold=version("leasehold"),
                    installation=installation_mark(self.key),
                    made_at=utc_now(),
                    tenant=seen.tenant,
                    revision=seen.ref.revision,
                    key=key.derivation,
                    tables=tuple(tables),
                )
                writer.close_with(manifest, key)
        return manifest

    async def _write(
        self, seen: Snapshot, shape: TableShape, writer: ArchiveWriter, key: ArchiveKey, progress: Progress
    ) -> ArchivedTable:
        secrets = SecretsMoving(self.secrets, self.key, key, here=seen.ref.id, there=seen.ref.id)
        with writer.member(f"tables/{shape.name}.copy") as write:

            def take(piece: bytes) -> None:
                write(piece)
                progress.on_bytes(len(piece))

            contents = await copy_out(
                seen.connection, shape.query(), take, change=secrets.outward(shape.name, shape.columns)
            )
        progress.on_table(f"exported {shape.name}, {contents.rows} rows", contents.bytes)
        return ArchivedTable(shape.name, shape.columns, contents.rows, contents.bytes, contents.sha256)


@contextmanager
def _told(seen: Snapshot) -> Generator[None]:
    try:
        yield
    except asyncpg.UndefinedTableError as error:  # all were there, and no migration can touch them
        raise PutBackMeanwhile(slug=seen.ref.slug) from error


def installation_mark(key: InstallationKey) -> str:
    """Return what tells whether two archives come from one installation, and nothing else."""
    return key.derive("archive installation mark").hex()[:16]
