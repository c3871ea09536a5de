"""Fills a schema from an archive and proves that all came back, in a transaction of the owner."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from leasehold.core.database import DriverConnection
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.archive.building import Way, build, go_on
from leasehold.tenancy.archive.copying import FORMATS
from leasehold.tenancy.archive.glance import glance
from leasehold.tenancy.archive.indexes import put_away
from leasehold.tenancy.archive.loading import Loading
from leasehold.tenancy.archive.manifest import Manifest
from leasehold.tenancy.archive.moving import SecretsMoving
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.fleet.fingerprint import fingerprint
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.replay import SchemaTarget, binding, message, rights_to_grant
from leasehold.tenancy.provision import FINGERPRINT, FingerprintMismatch, FleetNotReady
from leasehold.tenancy.secrets import SecretColumn


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
        async with glance(connection):
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
        indexes = await put_away(driver, self.target.schema)
        loading = Loading(driver, self.archive, self._secrets, self.progress)
        for shape in shapes:
            await loading.load(archived[shape.name], schema=shape.schema)
        await driver.execute(indexes)
        for shape in shapes:
            await loading.compare(shape, archived[shape.name])
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

    @property
    def _secrets(self) -> SecretsMoving:
        there, filler = self.archive.manifest.tenant.id, self.filler
        return SecretsMoving(filler.secrets, filler.key, self.key, here=self.tenant_id, there=there)
