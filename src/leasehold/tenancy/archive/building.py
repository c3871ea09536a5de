"""Builds the schema of an imported tenant: first as it was when the archive was made, then, filled, as it is today."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from leasehold.core.database import DriverConnection
from leasehold.tenancy.archive.manifest import Manifest
from leasehold.tenancy.archive.refusals import ArchiveNewer, DoesNotFit
from leasehold.tenancy.archive.shape import TableShape, table_shapes
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.live import run_live_revision
from leasehold.tenancy.fleet.rendering import in_one_transaction, render, render_provisioning
from leasehold.tenancy.fleet.replay import SchemaTarget, binding, build_sql, message
from leasehold.tenancy.fleet.segments import Rendering, Segment


@dataclass(frozen=True, slots=True)
class Way:
    """From nothing to the revision of an archive, and from there to head."""

    there: Rendering
    on: tuple[Segment, ...]

    @classmethod
    def of(cls, history: TenantHistory, manifest: Manifest) -> "Way":
        """Return the way of an archive. All is rendered here, before a live revision is run.

        Raises:
            ArchiveNewer: its revision is not in the history.
            Unrenderable: a revision cannot be replayed.
        """
        revision = manifest.revision
        if revision not in history.revisions:
            reason = f"its revision {revision} is not among those that this release has"
            raise ArchiveNewer(made_by=manifest.leasehold, reason=reason)
        on = () if revision == history.head else render(history, revision, history.head).segments
        return cls(render_provisioning(history, revision), on)


async def build(connection: DriverConnection, target: SchemaTarget, way: Way, manifest: Manifest) -> list[TableShape]:
    """Fill an empty schema with tables, and return those that the archive fills with rows, in the order for that.

    The path leads to the schema afterwards.

    Raises:
        DoesNotFit: the archive has tables or columns that the schema has not, or not all.
    """
    await connection.execute(build_sql(target, way.there))
    archived = {table.name: table for table in manifest.tables}
    shapes = [shape for shape in await table_shapes(connection, target.schema) if shape.name in archived]
    for name in archived.keys() - {shape.name for shape in shapes}:
        raise DoesNotFit(revision=manifest.revision, reason=f"there is no table {name}")
    for shape in shapes:
        differing = set(shape.columns) ^ set(archived[shape.name].columns)
        if differing:
            reason = f"the table {shape.name} differs in {', '.join(sorted(differing))}"
            raise DoesNotFit(revision=manifest.revision, reason=reason)
    return shapes


async def go_on(
    connection: AsyncConnection,
    driver: DriverConnection,
    target: SchemaTarget,
    history: TenantHistory,
    segments: Sequence[Segment],
) -> None:
    """Bring a filled schema to head in its own transaction, in which nobody else can hold a lock on it.

    Raises:
        LiveRevisionFailed: a live revision raised something.
        asyncpg.PostgresError: a statement failed.
    """
    for segment in segments:
        if segment.is_live:
            await driver.execute(binding(target.schema))
            await run_live_revision(connection, history, segment)
        else:
            await driver.execute(message(binding(target.schema), "\n;\n".join(in_one_transaction(segment.statements))))
    await driver.execute(binding(target.schema))
