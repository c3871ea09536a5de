"""Takes over the platform of another installation: its archive is loaded, in one transaction, where nobody is yet.

The schemas of its tenants are not in it. They come out of their own archives, each under the id that it had; until then
they are in maintenance, and are not served.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from msgspec import Struct
from sqlalchemy import MetaData

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection
from leasehold.core.models import PLATFORM_SCHEMA
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.archive.copying import FORMATS
from leasehold.tenancy.archive.exporting import installation_mark
from leasehold.tenancy.archive.loading import Loading
from leasehold.tenancy.archive.manifest import PlatformManifest
from leasehold.tenancy.archive.moving import SecretsMoving
from leasehold.tenancy.archive.platform_exporting import PLATFORM_REVISION, moving
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import PlatformArchiveFile
from leasehold.tenancy.archive.refusals import ArchiveNewer, DoesNotFit, NotEmpty, StandsElsewhere
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.shape import TableShape, staying, table_shapes
from leasehold.tenancy.audit.owner import record_takeover
from leasehold.tenancy.install import connect
from leasehold.tenancy.names import VERSION_TABLE, quoted
from leasehold.tenancy.owner import NoOwner, demand_direct
from leasehold.tenancy.registry import CHANNEL
from leasehold.tenancy.secrets import PlatformSecretColumn

_IS_THERE = f"SELECT to_regclass('{PLATFORM_SCHEMA}.{VERSION_TABLE}') IS NOT NULL"
# As migrations of the platform do, so that none begins meanwhile.
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('leasehold platform migration'))"
_SOMEBODY = """
SELECT (SELECT count(*) FROM platform.tenants) AS tenants, (SELECT count(*) FROM platform.admins) AS admins
"""
# A tenant without a schema is served by nobody until it has come out of its archive.
_AWAIT_SCHEMAS = """
UPDATE platform.tenants SET state = 'maintenance', is_read_only = false, maintenance_ends_at = NULL, updated_at = now()
 WHERE state IN ('active', 'maintenance')
"""
# Nor is what was set aside in a backup: whose it was, comes back as it was.
_FORGET_HOMES = "DELETE FROM platform.tenants WHERE state IN ('vacant', 'set_aside')"
# Stored under a pepper that follows from the installation key, so that no other installation knows them again.
_END_CREDENTIALS = """
WITH tokens AS (DELETE FROM platform.admin_tokens RETURNING 1) SELECT count(*) FROM tokens
"""
_LIVING = "SELECT count(*) FROM platform.tenants WHERE state NOT IN ('purging', 'purged')"

_log = structlog.get_logger(__name__)


class TakenOver(Struct, frozen=True):
    """What the loading of a platform came to."""

    revision: str
    """Where it stands now, as when the archive was made; `leasehold migrate all` brings it on."""
    tables: int
    rows: int
    bytes: int
    tenants: int
    """How many tenants there are that come out of their own archives."""
    is_from_here: bool
    """Whether the installation key is the one that the archive was made under."""
    ended_tokens: int
    """How many tokens of admins were ended because it is another one."""


async def has_tenants(owner_url: str) -> bool:
    """Tell whether an installation has a platform with tenants, so that nothing is to be taken over.

    Raises:
        OSError, asyncpg.PostgresError: the database does not answer, or refuses.
    """
    connection = await connect(owner_url)
    try:
        if not await connection.fetchval(_IS_THERE):
            return False
        return await connection.fetchval("SELECT EXISTS (SELECT FROM platform.tenants)")
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class PlatformImporter:
    """Loads archives of a platform, with the rights of the owner."""

    owner_url: str | None
    key: InstallationKey
    secrets: Sequence[PlatformSecretColumn]
    metadata: MetaData
    revisions: frozenset[str]
    """Those of the platform history that this release has."""
    upgrade: Callable[[str], Awaitable[None]]
    """Brings a platform that is not there yet to a revision."""

    async def load(
        self, archive: PlatformArchiveFile, key: ArchiveKey, *, by: Actor, progress: Progress = SILENT
    ) -> TakenOver:
        """Make the platform of an archive, as it was at its revision, proven equal, and committed.

        The database has no platform yet, or one at the very revision of the archive that has neither tenants nor
        admins; what else is in it makes way.

        Raises:
            NoOwner: this process has no owner URL, or one that leads to a pooler.
            ArchiveNewer, StandsElsewhere: this release, or this database, does not stand at its revision.
            NotEmpty: there is somebody already.
            ArchiveRefused: what the archive holds cannot be had here, or not whole; nothing was changed.
            OSError, asyncpg.PostgresError: the database does not answer, or refuses.
        """
        if self.owner_url is None:
            raise NoOwner
        manifest = archive.manifest
        if manifest.revision not in self.revisions:
            reason = f"its revision {manifest.revision} is not among those that this release has"
            raise ArchiveNewer(made_by=manifest.leasehold, reason=reason)
        progress.on_start(3 * len(manifest.tables))
        archive.verify(progress=progress)
        connection = await connect(self.owner_url)
        try:
            await demand_direct(connection)
            if not await connection.fetchval(_IS_THERE):
                await self.upgrade(manifest.revision)
            async with connection.transaction():
                secrets = moving(self.secrets, self.key, key)
                return await _Takeover(connection, archive, secrets, self, progress).run(by)
        finally:
            await connection.close()


@dataclass(slots=True)
class _Takeover:
    """One loading, in its transaction."""

    connection: DriverConnection
    archive: PlatformArchiveFile
    secrets: SecretsMoving
    importer: PlatformImporter
    progress: Progress

    async def run(self, by: Actor) -> TakenOver:
        connection, manifest = self.connection, self.archive.manifest
        await connection.execute(f"SET LOCAL search_path = pg_catalog, pg_temp; {_ALONE}")
        await self._demand_empty(manifest)
        shapes = await self._shapes(manifest)
        for shape in reversed(shapes):
            await connection.execute(f"DELETE FROM {PLATFORM_SCHEMA}.{quoted(shape.name)}")
        await connection.execute(FORMATS)
        tables = {table.name: table for table in manifest.tables}
        loading = Loading(connection, self.archive, self.secrets, self.progress)
        for shape in shapes:
            await loading.load(tables[shape.name], schema=PLATFORM_SCHEMA)
        for shape in shapes:
            await loading.compare(shape, tables[shape.name])
        await connection.execute(f"{_FORGET_HOMES}; {_AWAIT_SCHEMAS}")
        is_from_here = manifest.installation == installation_mark(self.importer.key)
        ended = 0 if is_from_here else await connection.fetchval(_END_CREDENTIALS)
        changes = {"made_at": manifest.made_at, "revision": manifest.revision, "rows": manifest.rows}
        await record_takeover(connection, by, changes=changes)
        await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
        tenants = await connection.fetchval(_LIVING)
        _log.info("platform_taken_over", revision=manifest.revision, rows=manifest.rows, tenants=tenants)
        return TakenOver(
            manifest.revision, len(shapes), manifest.rows, manifest.bytes, tenants, is_from_here, ended_tokens=ended
        )

    async def _demand_empty(self, manifest: PlatformManifest) -> None:
        found = await self.connection.fetchval(PLATFORM_REVISION)
        if found != manifest.revision:
            raise StandsElsewhere(found=found, revision=manifest.revision)
        await self.connection.execute("LOCK TABLE platform.tenants, platform.admins IN EXCLUSIVE MODE")
        somebody = await self.connection.fetchrow(_SOMEBODY)
        told = [f"{count} {what}" for what, count in dict(somebody or {}).items() if count]
        if told:
            raise NotEmpty(what=" and ".join(told))

    async def _shapes(self, manifest: PlatformManifest) -> list[TableShape]:
        """Return the tables to be filled, in the order for that."""
        excluded = staying(self.importer.metadata)
        archived = {table.name: set(table.columns) for table in manifest.tables}
        found = await table_shapes(self.connection, PLATFORM_SCHEMA)
        shapes = [shape for shape in found if shape.name in archived]
        expected = {shape.name: set(shape.columns) for shape in found if shape.name not in excluded or shape in shapes}
        if expected != archived:
            differing = sorted(name for name in expected | archived if expected.get(name) != archived.get(name))
            raise DoesNotFit(revision=manifest.revision, reason=f"its tables differ in {', '.join(differing)}")
        return shapes
