"""Loads tables out of an archive, and proves that they came back."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import asyncpg

from leasehold.core.database import DriverConnection
from leasehold.tenancy.archive.copying import copy_out
from leasehold.tenancy.archive.manifest import ArchivedTable, Manifest, PlatformManifest
from leasehold.tenancy.archive.moving import SecretsMoving
from leasehold.tenancy.archive.progress import Progress
from leasehold.tenancy.archive.reading import ArchiveReader
from leasehold.tenancy.archive.refusals import CameBackOtherwise, DoesNotFit
from leasehold.tenancy.archive.rewrapping import RowChange
from leasehold.tenancy.archive.shape import TableShape

_OF_ROWS = frozenset({"22", "23", "54"})
"""Classes of errors that say that a row is none: its values, a rule that they break, or that they are too much."""


@dataclass(frozen=True, slots=True)
class Loading:
    """The tables of one archive, on their way into one schema."""

    driver: DriverConnection
    archive: ArchiveReader[Manifest] | ArchiveReader[PlatformManifest]
    secrets: SecretsMoving
    progress: Progress

    async def load(self, table: ArchivedTable, *, schema: str) -> None:
        """Load the rows of a table, with their secrets wrapped by the key of the installation.

        Raises:
            DoesNotFit: the table refuses them.
            Damaged, NotReadable: they are not whole.
        """
        change = self.secrets.inward(table.name, table.columns)
        try:
            await self.driver.copy_to_table(
                table.name,
                schema_name=schema,
                columns=list(table.columns),
                source=self._source(self.archive.pieces(table), change),
            )
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "")[:2] not in _OF_ROWS:
                raise
            reason = f"the table {table.name} refuses its rows ({error.args[0]})"  # without a detail, which has a row
            raise DoesNotFit(revision=self.archive.manifest.revision, reason=reason) from error
        self.progress.on_table(f"loaded {table.name}, {table.rows} rows", table.bytes)

    async def compare(self, shape: TableShape, table: ArchivedTable) -> None:
        """Read a table again, and pass if it is what was archived.

        Raises:
            CameBackOtherwise: it is not.
        """
        change = self.secrets.outward(table.name, table.columns)
        found = await copy_out(self.driver, shape.query(table.columns), self._count, change=change)
        if (found.rows, found.bytes, found.sha256) != (table.rows, table.bytes, table.sha256):
            raise CameBackOtherwise(table=table.name)
        self.progress.on_table(f"compared {table.name}", table.bytes)

    async def _source(self, pieces: Iterator[bytes], change: RowChange | None) -> AsyncGenerator[bytes]:
        for piece in pieces:
            self._count(piece)
            yield change.feed(piece) if change else piece
        if change:
            change.finish()

    def _count(self, piece: bytes) -> None:
        self.progress.on_bytes(len(piece))
