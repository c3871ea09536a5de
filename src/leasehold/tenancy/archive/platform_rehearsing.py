"""Loads the archive of a platform beside the platform, into tables like its own, and rolls it back."""

from collections.abc import Sequence
from dataclasses import dataclass

from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.core.models import PLATFORM_SCHEMA
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.archive.copying import FORMATS
from leasehold.tenancy.archive.glance import glance
from leasehold.tenancy.archive.loading import Loading
from leasehold.tenancy.archive.platform_exporting import PLATFORM_REVISION, moving
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import PlatformArchiveFile
from leasehold.tenancy.archive.refusals import DoesNotFit
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.shape import TableShape, table_shapes
from leasehold.tenancy.install import connect
from leasehold.tenancy.names import quoted
from leasehold.tenancy.owner import NoOwner
from leasehold.tenancy.secrets import PlatformSecretColumn

# CREATE TABLE (LIKE ...) would hold the tables of the platform until the end.
_DEFINITIONS = """
SELECT r.relname::text AS name,
       pg_catalog.concat_ws(', ', (
           SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ',
                      pg_catalog.quote_ident(a.attname),
                      pg_catalog.format_type(a.atttypid, a.atttypmod),
                      CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,
                      CASE WHEN a.attgenerated = 's'
                           THEN 'GENERATED ALWAYS AS (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ') STORED' END,
                      CASE WHEN a.attnotnull THEN 'NOT NULL' END), ', ' ORDER BY a.attnum)
             FROM pg_catalog.pg_attribute a
             JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
             LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
       ), (
           SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(c.oid), ', ' ORDER BY c.conname)
             FROM pg_catalog.pg_constraint c WHERE c.conrelid = r.oid AND c.contype = 'c'
       )) AS definition
  FROM pg_catalog.pg_class r WHERE r.relnamespace = $1::text::regnamespace AND r.relkind IN ('r', 'p')
"""


@dataclass(frozen=True, slots=True)
class PlatformRehearsal:
    """Loads archives of the platform and proves that they come back."""

    owner_url: str | None
    key: InstallationKey
    secrets: Sequence[PlatformSecretColumn]

    async def run(self, archive: PlatformArchiveFile, key: ArchiveKey, *, progress: Progress = SILENT) -> bool:
        """Pass if the archive is whole and comes back equal in every row; return whether it could be loaded.

        It cannot where the platform stands at another revision now: there are no tables like those of the archive.

        Raises:
            NoOwner: this process has no owner URL.
            ArchiveRefused: what the archive holds cannot be had, or not whole.
            OSError, asyncpg.PostgresError: the database does not answer, or refuses.
        """
        if self.owner_url is None:
            raise NoOwner
        progress.on_start(3 * len(archive.manifest.tables))
        archive.verify(progress=progress)
        connection = await connect(self.owner_url)
        try:
            if await connection.fetchval(PLATFORM_REVISION) != archive.manifest.revision:
                return False
            transaction = connection.transaction()
            await transaction.start()
            await self._load(connection, archive, key, progress)
            await transaction.rollback()
            return True
        finally:
            await connection.close(timeout=5)

    async def _load(
        self, connection: DriverConnection, archive: PlatformArchiveFile, key: ArchiveKey, progress: Progress
    ) -> None:
        scratch = f"scratch_{new_id().hex}"
        await connection.execute(f"CREATE SCHEMA {quoted(scratch)}; SET LOCAL search_path = pg_catalog, pg_temp")
        await connection.execute(FORMATS)
        async with glance(connection):
            shapes = {shape.name: shape for shape in await table_shapes(connection, PLATFORM_SCHEMA)}
            rows = await connection.fetch(_DEFINITIONS, PLATFORM_SCHEMA)
        definitions: dict[str, str] = {row["name"]: row["definition"] for row in rows}
        loading = Loading(connection, archive, moving(self.secrets, self.key, key), progress)
        for table in archive.manifest.tables:
            shape = shapes.get(table.name)
            if shape is None or set(shape.columns) != set(table.columns):
                reason = f"the table {table.name} differs"
                raise DoesNotFit(revision=archive.manifest.revision, reason=reason)
            made = f"{quoted(scratch)}.{quoted(table.name)}"
            await connection.execute(f"CREATE TABLE {made} ({definitions[table.name]})")
            await loading.load(table, schema=scratch)
            await loading.compare(TableShape(scratch, shape.name, shape.columns, shape.key), table)
