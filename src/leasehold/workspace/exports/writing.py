"""Writes the file of an export: a ZIP with a file of JSON lines for each table, and a README."""

import asyncio
import inspect
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import IO, Any, cast
from uuid import UUID

from sqlalchemy import Column, Table

from leasehold.core.models import TenantModel
from leasehold.core.personal import Secret, extent_of, word_of
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.exports.repository import ExportRepository, Snapshot

_BATCH = 500
"""Rows that are read at once."""
_CHUNK_BYTES = 512 * 1024

_README = """All that the tenant {slug} has
{line}

Taken at {taken_at:%Y-%m-%d %H:%M:%S} UTC. All files are of that one moment: whatever refers to something finds it.

Each file has one JSON object per line (https://jsonlines.org), in UTF-8, in the order in which the rows were made.
Times are RFC 3339 in UTC, ids are UUIDs, and what nobody has filled in is null. Fields that end in _id name the row of
another file with that id.

{files}

Secrets are left out, and what they are known by: passwords, keys of authenticator apps, tokens and API keys. So is
what the service keeps for its own running, such as counters of failed logins.
"""


class _Sink:
    """What a ZIP is written to, which takes it in one direction only and gives it away in chunks."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.written = 0

    def write(self, data: bytes) -> int:
        self._buffer += data
        self.written += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: it is asked for chunks."""

    def chunk(self, *, at_least: int) -> bytes | None:
        """Return what was written since the last one, None if it is less."""
        if len(self._buffer) < max(1, at_least):
            return None
        data, self._buffer = bytes(self._buffer), bytearray()
        return data


async def write_export(session: TenantSession, export_id: UUID) -> tuple[datetime, int] | None:
    """Write the file of an export that waits, and return its moment and its size; None if it waits no more.

    It is all one transaction: its rows are of one moment, and of who is killed in the middle nothing stays. What it
    holds in memory does not depend on how much there is.
    """
    snapshot, exports = Snapshot(session), ExportRepository(session=session)
    taken_at = await snapshot.begin()
    if await exports.locked(export_id) is None:
        return None
    sink, position, files = _Sink(), 0, list[str]()
    with zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_DEFLATED) as file:

        async def keep(*, at_least: int = _CHUNK_BYTES) -> None:
            nonlocal position
            if (data := sink.chunk(at_least=at_least)) is not None:
                await exports.add_chunk(export_id, position, data)
                position += 1

        for table in tables_of_customer():
            columns, behind, rows = columns_of_customer(table), None, 0
            with file.open(_entry(f"{table.name}.ndjson", taken_at), "w", force_zip64=True) as entry:
                while True:
                    lines, behind = await snapshot.lines(table, columns, behind=behind, limit=_BATCH)
                    rows += len(lines)
                    await _in_thread(entry.write, "".join(f"{line}\n" for line in lines).encode())
                    await keep()
                    if behind is None:
                        break
            files.append(f"{table.name}.ndjson: {rows} rows. {_said_of(table)}")
        title = f"All that the tenant {session.tenant.slug} has"
        readme = _README.format(
            slug=session.tenant.slug, line="=" * len(title), taken_at=taken_at, files="\n".join(files)
        )
        file.writestr(_entry("README.txt", taken_at), readme)
    await keep(at_least=1)
    return taken_at, sink.written


def _entry(name: str, taken_at: datetime) -> zipfile.ZipInfo:
    moment = taken_at.astimezone(UTC)
    entry = zipfile.ZipInfo(name, (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


async def _in_thread(write: Callable[[bytes], object], data: bytes) -> None:
    """Write in a thread, for compressing takes longer than reading.

    Who is cancelled waits for it nevertheless: what it writes to must not be closed meanwhile.
    """
    writing = asyncio.ensure_future(asyncio.to_thread(write, data))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait((writing,))
        raise


def tables_of_customer() -> list[Table]:
    """Return the tables that an export has, each behind those that it refers to."""
    return [table for table in TenantModel.metadata.sorted_tables if extent_of(table) != "nowhere"]


def columns_of_customer(table: Table) -> Sequence[Column[Any]]:
    """Return the columns that an export has: all but secrets."""
    return [column for column in table.columns if not isinstance(word_of(column), Secret)]


def _said_of(table: Table) -> str:
    """Return the first line of what the model says of itself."""
    (model,) = (mapper.class_ for mapper in TenantModel.registry.mappers if mapper.local_table is table)
    return inspect.cleandoc(model.__doc__ or "").partition("\n")[0]
