"""How exports are kept, and how the rows that go into one are read."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from leasehold.core.clock import utc_now
from leasehold.core.ids import new_id
from leasehold.core.reads import Read, Reader, columns_of
from leasehold.core.repository import KeysetRepository
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.exports.models import ExportChunk, TenantExport
from leasehold.workspace.exports.schemas import Chunk, StoredExport

GIVEN_UP_AFTER = timedelta(hours=6)
"""An export that waits for longer was given up by the workers, which try for less."""

_BY_ID = Read(
    select(*columns_of(TenantExport, StoredExport)).where(TenantExport.id == bindparam("id", type_=Uuid)), StoredExport
)
_CHUNK = Read(
    select(ExportChunk.data).where(
        ExportChunk.export_id == bindparam("export_id", type_=Uuid),
        ExportChunk.position == bindparam("position", type_=BigInteger),
    ),
    Chunk,
)


class ExportReads:
    """The exports of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find(self, export_id: UUID) -> StoredExport | None:
        """Return an export, None if there is none with this id."""
        return await self._reader.one(_BY_ID, id=export_id)

    async def chunk(self, export_id: UUID, position: int) -> bytes | None:
        """Return a part of the file of an export, None behind the last."""
        found = await self._reader.one(_CHUNK, export_id=export_id, position=position)
        return found.data if found else None


class ExportRepository(KeysetRepository[TenantExport]):
    """The exports of the bound tenant, for who writes."""

    model_type = TenantExport

    async def give_up_waiting(self) -> None:
        """Call those failed that no worker will make any more."""
        is_left = (TenantExport.state == "waiting", TenantExport.created_at <= utc_now() - GIVEN_UP_AFTER)
        await self.session.execute(update(TenantExport).where(*is_left).values(state="failed"))

    async def delete_expired(self) -> None:
        """Delete those that can be fetched no more, with their files."""
        await self.session.execute(delete(TenantExport).where(TenantExport.expires_at <= utc_now()))

    async def locked(self, export_id: UUID) -> TenantExport | None:
        """Return an export that waits, which nobody else makes meanwhile; None if it does not wait any more."""
        return await self.get_one_or_none(id=export_id, state="waiting", with_for_update=True)

    async def finish(self, export_id: UUID, *, taken_at: datetime, size_bytes: int) -> None:
        """Call an export ready."""
        values = {"state": "ready", "taken_at": taken_at, "size_bytes": size_bytes}
        await self.session.execute(update(TenantExport).where(TenantExport.id == export_id).values(values))

    async def fail(self, export_id: UUID) -> bool:
        """Call an export failed if it still waits, and say whether it did."""
        waits = (TenantExport.id == export_id, TenantExport.state == "waiting")
        failed = update(TenantExport).where(*waits).values(state="failed").returning(TenantExport.id)
        return await self.session.scalar(failed) is not None

    async def delete_others(self, export_id: UUID) -> None:
        """Delete all exports but one, with their files."""
        await self.session.execute(delete(TenantExport).where(TenantExport.id != export_id))

    async def add_chunk(self, export_id: UUID, position: int, data: bytes) -> None:
        """Keep a part of a file."""
        values = {"id": new_id(), "export_id": export_id, "position": position, "data": data}
        await self.session.execute(insert(ExportChunk.__table__), values)  # pyright: ignore[reportArgumentType]


class Snapshot:
    """The rows of the bound tenant as they were at one moment; it must be the first to use the session."""

    def __init__(self, session: TenantSession) -> None:
        self._session = session

    async def begin(self) -> datetime:
        """Take the snapshot, and return its moment. From here on times are told in UTC."""
        await self._session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        in_utc = func.set_config("TimeZone", "UTC", True)
        return (await self._session.execute(select(func.now(), in_utc))).one()[0]

    async def lines(
        self, table: Table, columns: Sequence[Column[Any]], *, behind: UUID | None, limit: int
    ) -> tuple[list[str], UUID | None]:
        """Return the next rows of a table as JSON, and the id behind which more may follow, None if none do."""
        chosen = select(*columns).order_by(table.c.id).limit(limit)
        if behind is not None:
            chosen = chosen.where(table.c.id > behind)
        rows = chosen.subquery("one")
        as_json = cast(func.row_to_json(literal_column("one")), Text)
        found = (await self._session.execute(select(rows.c.id, as_json).order_by(rows.c.id))).all()
        return [text for _, text in found], found[-1][0] if len(found) == limit else None
