"""Fills a schema from an archive and proves that all came back, in a transaction of the owner."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from leasehold.core.database import DriverConnection
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.archive.building import Way, build, go_on
from leasehold.tenancy.archive.copying import FORMATS, copy_out
from leasehold.tenancy.archive.indexes import set_aside
from leasehold.tenancy.archive.manifest import ArchivedTable, Manifest
from leasehold.tenancy.archive.moving import SecretsMoving
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.refusals import CameBackOtherwise, DoesNotFit
from leasehold.tenancy.archive.rewrapping import RowChange
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.shape import TableShape
from leasehold.tenancy.fleet.fingerprint import fingerprint
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.replay import SchemaTarget, binding, message, rights_to_grant
from leasehold.tenancy.provision import FINGERPRINT, FingerprintMismatch, FleetNotReady
from leasehold.tenancy.secrets import SecretColumn

_OF_ROWS = frozenset({"22", "23", "54"})
"""Classes of errors that say that a row is none: its values, a rule that they break, or that they are too much."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A transaction of the owner, as Alembic needs it and as all else does."""

    connection: AsyncConnection
    driver: DriverConnection


@dataclass(frozen=True, slots=True)
class Filler:
    """What an installation knows that is needed to fill a schema."""

    history: TenantHistory
    metadata: MetaData
    key: InstallationKey
    secrets: Sequence[SecretColumn]
    _ways: dict[str, Way] = field(default_factory=dict[str, Way])
    """Those that were rendered, by the revision of the archive."""

    def way(self, manifest: Manifest) -> Way:
        """Return the way from nothing over the revision of an archive to head.

        Raises:
            ArchiveNewer, Unrenderable: see `Way.of`.
        """
        way = self._ways.get(manifest.revision) or Way.of(self.history, manifest)
        self._ways[manifest.revision] = way
        return way

    async def expected(self, connection: DriverConnection) -> str:
        """Return the fingerprint that a schema at head must have.

        Raises:
            FleetNotReady: the platform was not migrated to the revision of this code.
        """
        found = await connection.fetchval(FINGERPRINT, self.history.head)
        if found is None:
            raise FleetNotReady
        return found


@dataclass(frozen=True, slots=True)
class Filling:
    """One schema that is filled from one archive."""

    filler: Filler
    archive: ArchiveFile
    key: ArchiveKey
    to: Connected
    target: SchemaTarget
    """An empty schema, with the role that shall have rights on it."""
    tenant_id: UUID
    """For whom the secrets are wrapped."""
    progress: Progress = SILENT

    async def fill(self) -> None:
        """Make the tables as they were, load and compare their rows, and bring all to head. The path leads there then.

        Raises:
            DoesNotFit, CameBackOtherwise, Damaged, NotReadable: what the archive holds cannot be had, or not whole.
            LiveRevisionFailed: a revision behind that of the archive cannot be run.
        """
        driver, manifest = self.to.driver, self.archive.manifest
        way = self.filler.way(manifest)
        shapes = await build(driver, self.target, way, manifest)
        await driver.execute(FORMATS)
        archived = {table.name: table for table in manifest.tables}
        indexes = await set_aside(driver, self.target.schema)
        for shape in shapes:
            await self._load(shape, archived[shape.name])
        await driver.execute(indexes)
        for shape in shapes:
            await self._compare(shape, archived[shape.name])
        await go_on(self.to.connection, driver, self.target, self.filler.history, way.on)

    async def grant(self) -> None:
        """Give the role its rights; the path leads to the schema afterwards."""
        driver = self.to.driver
        rights = await rights_to_grant(driver, self.target, self.filler.metadata)
        await driver.execute(message(binding(self.target.schema), *rights))

    async def demand(self, expected: str) -> None:
        """Pass if the schema is as migrations make it.

        Raises:
            FingerprintMismatch: it is not; the fault is ours.
        """
        if await fingerprint(self.to.driver, self.target) != expected:
            raise FingerprintMismatch

    async def _load(self, shape: TableShape, table: ArchivedTable) -> None:
        change = self._secrets.inward(table.name, table.columns)
        try:
            await self.to.driver.copy_to_table(
                table.name,
                schema_name=shape.schema,
                columns=list(table.columns),
                source=self._source(self.archive.pieces(table), change),
            )
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "")[:2] not in _OF_ROWS:
                raise
            reason = f"the table {table.name} refuses its rows ({error.args[0]})"  # without a detail, which has a row
            raise DoesNotFit(revision=self.archive.manifest.revision, reason=reason) from error
        self.progress.on_table(f"loaded {table.name}, {table.rows} rows", table.bytes)

    async def _source(self, pieces: Iterator[bytes], change: RowChange | None) -> AsyncGenerator[bytes]:
        for piece in pieces:
            self.progress.on_bytes(len(piece))
            yield change.feed(piece) if change else piece
        if change:
            change.finish()

    async def _compare(self, shape: TableShape, table: ArchivedTable) -> None:
        """Read a table again, and pass if it is what was exported."""
        change = self._secrets.outward(table.name, table.columns)

        def take(piece: bytes) -> None:
            self.progress.on_bytes(len(piece))

        found = await copy_out(self.to.driver, shape.query(table.columns), take, change=change)
        if (found.rows, found.bytes, found.sha256) != (table.rows, table.bytes, table.sha256):
            raise CameBackOtherwise(table=table.name)
        self.progress.on_table(f"compared {table.name}", table.bytes)

    @property
    def _secrets(self) -> SecretsMoving:
        there, filler = self.archive.manifest.tenant.id, self.filler
        return SecretsMoving(filler.secrets, filler.key, self.key, here=self.tenant_id, there=there)
