"""Writes the archive of the platform: registry, admins, plans, logs and what else belongs to no tenant."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from uuid import UUID

import asyncpg
from sqlalchemy import MetaData

from leasehold.core.clock import utc_now
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.models import PLATFORM_SCHEMA
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.archive.copying import FORMATS
from leasehold.tenancy.archive.exporting import OpenSink, installation_mark, write_table
from leasehold.tenancy.archive.manifest import FORMAT, PlatformManifest
from leasehold.tenancy.archive.moving import SecretsMoving
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.refusals import PlatformBeingMigrated
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.shape import staying, table_names, table_shapes
from leasehold.tenancy.archive.writing import ArchiveWriter
from leasehold.tenancy.names import VERSION_TABLE, quoted
from leasehold.tenancy.secrets import PlatformSecretColumn, SecretColumn

PLATFORM_REVISION = f"SELECT version_num FROM {PLATFORM_SCHEMA}.{VERSION_TABLE}"
_LOOKS = 3
_WAIT = "30s"
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class PlatformExporter:
    """Makes archives of the shared schema of an installation, with the rights of the app."""

    url: str
    """Of the app's login, on PostgreSQL itself where there is one."""
    key: InstallationKey
    secrets: Sequence[PlatformSecretColumn]
    metadata: MetaData

    async def export(self, open_sink: OpenSink, key: ArchiveKey, *, progress: Progress = SILENT) -> PlatformManifest:
        """Write an archive and return its manifest; its `made_at` is the moment of the snapshot.

        Raises:
            PlatformBeingMigrated: a migration holds a table for longer than half a minute.
            UnwrapFailed: a secret was wrapped by another installation key.
            OSError, asyncpg.PostgresError: the database does not answer, or refuses. And what `open_sink` raises.
        """
        secrets = moving(self.secrets, self.key, key)
        async with _snapshot(self.url) as (connection, revision):
            at, excluded = utc_now(), staying(self.metadata)
            found = await table_shapes(connection, PLATFORM_SCHEMA)
            shapes = [shape for shape in found if shape.name not in excluded]
            progress.on_start(len(shapes))
            with open_sink(at) as sink, ArchiveWriter(sink) as writer:
                tables = [
                    await write_table(
                        connection, shape, writer, progress, change=secrets.outward(shape.name, shape.columns)
                    )
                    for shape in shapes
                ]
                manifest = PlatformManifest(
                    format=FORMAT,
                    leasehold=version("leasehold"),
                    installation=installation_mark(self.key),
                    made_at=at,
                    revision=revision,
                    key=key.derivation,
                    tables=tuple(tables),
                )
                writer.close_with(manifest, key)
        return manifest


def moving(columns: Sequence[PlatformSecretColumn], ours: InstallationKey, key: ArchiveKey) -> SecretsMoving:
    """Return how the secrets of the platform, which belong to no tenant, are given to an archive and back."""
    return SecretsMoving([_as_of_nobody(column) for column in columns], ours, key, here=_NOBODY, there=_NOBODY)


def _as_of_nobody(column: PlatformSecretColumn) -> SecretColumn:
    return SecretColumn(column.table, column.column, column.name, lambda _tenant, name: column.purpose(UUID(name)))


@asynccontextmanager
async def _snapshot(url: str) -> AsyncGenerator[tuple[DriverConnection, str]]:
    """Lend a look at the shared schema, and its revision."""
    connection = await asyncpg.connect(driver_url(url), timeout=10, statement_cache_size=0)
    try:
        for _ in range(_LOOKS):
            names = await table_names(connection, PLATFORM_SCHEMA)
            await _begin(connection, names)
            if await table_names(connection, PLATFORM_SCHEMA) == names:
                yield connection, await connection.fetchval(PLATFORM_REVISION)
                return
            await connection.execute("ROLLBACK")
        raise PlatformBeingMigrated
    finally:
        connection.terminate()


async def _begin(connection: DriverConnection, names: Sequence[str]) -> None:
    """Lock all tables; the snapshot is taken by the first query behind that."""
    listed = ", ".join(f"{PLATFORM_SCHEMA}.{quoted(name)}" for name in names)
    locks = f"SET LOCAL lock_timeout = '{_WAIT}'; LOCK TABLE {listed} IN ACCESS SHARE MODE"
    try:
        await connection.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {locks}; {FORMATS}")
    except asyncpg.LockNotAvailableError as error:
        raise PlatformBeingMigrated from error
