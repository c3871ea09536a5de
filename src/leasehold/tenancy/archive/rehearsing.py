"""Loads an archive in a transaction that is rolled back: what an import would do, and nothing that anybody sees.

The schema bears a name that nobody has. There is no row in the registry, nothing is announced, and no role is made: the
app's own stands for it, for whoever makes a role a member of a group holds up all others who would.
"""

from dataclasses import dataclass

from leasehold.core.ids import new_id
from leasehold.tenancy.archive.filling import Connected, Filling
from leasehold.tenancy.archive.importing import Importer
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.names import APP_ROLE, schema_name
from leasehold.tenancy.provision import empty_schema_sql


class _IsOver(Exception):
    """All was done, and nothing of it shall stay."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Loads archives and proves that they come back, one at a time."""

    importer: Importer

    async def run(self, archive: ArchiveFile, key: ArchiveKey, *, progress: Progress = SILENT) -> None:
        """Pass if the archive can be loaded, comes back equal in every row, and can be brought to head.

        Raises:
            NoOwner, ArchiveRefused, FleetNotReady, FingerprintMismatch, LiveRevisionFailed, Unrenderable,
            DatabaseUnavailable: as for an import.
        """
        try:
            async with self.importer.begun(archive, progress=progress) as connected:
                await self._load(archive, key, connected, progress)
                raise _IsOver
        except _IsOver:
            return

    async def _load(self, archive: ArchiveFile, key: ArchiveKey, connected: Connected, progress: Progress) -> None:
        filler, target = self.importer.filler, SchemaTarget(schema_name(new_id()), APP_ROLE)
        expected = await filler.expected(connected.driver)
        await connected.driver.execute(empty_schema_sql(target, tenant_roles=False))
        filling = Filling(filler, archive, key, connected, target, archive.manifest.tenant.id, progress)
        await filling.fill()
        await filling.grant()
        await filling.demand(expected)
