"""What every repository of ours shares: keyset pages, one-statement inserts, and no work that was not asked for."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from advanced_alchemy.filters import LimitOffset
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy import Result, Select, Table, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.dml import ReturningInsert

from leasehold.core.reads import StructT

ModelT = TypeVar("ModelT", bound=Any)
_NOTED_EVERY = timedelta(minutes=1)


class KeysetRepository(SQLAlchemyAsyncRepository[ModelT]):
    """An Advanced Alchemy repository whose lists are read by keyset, in the order of ids, never by offset."""

    def __init__(self, *, session: AsyncSession, **options: Any) -> None:
        options["statement"] = _select(self.model_type)
        super().__init__(session=session, **options)
        # Advanced Alchemy would hide SQLSTATE and constraint behind errors of its own.
        self.wrap_exceptions = False
        # All values are made in Python: reading a row again after it was written shows nothing new.
        self.auto_refresh = False

    async def insert(self, values: Mapping[str, object], *, returning: type[StructT]) -> StructT:
        """Insert one row in one statement, and return what it then is; columns without a value get their defaults."""
        result: Result[Any] = await self.session.execute(_insert(self.model_type, returning), values)
        return returning(*result.one())

    async def get_locked(self, row_id: UUID) -> ModelT:
        """Return a row as it is now, whatever the session has read of it before; nobody else changes it meanwhile.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
        """
        return await self.get(row_id, with_for_update=True, execution_options={"populate_existing": True})

    async def page_after(self, after: UUID | None, *, limit: int) -> list[ModelT]:
        """Return up to `limit` rows behind the row `after`, or from the start, in the order they were made."""
        key: InstrumentedAttribute[UUID] = self.model_type.id
        conditions = [key > after] if after is not None else []
        rows = await self.get_many(*conditions, LimitOffset(limit=limit, offset=0), order_by=(key, False))
        return list(rows)


class UsedRepository(KeysetRepository[ModelT]):
    """A repository of credentials, whose rows say in `last_used_at` when they were last used, to about a minute."""

    async def note_use(self, row_id: UUID, used_at: datetime) -> None:
        """Write down that a row was used, at most once a minute; one that has gone is left alone."""
        table = self.model_type
        is_news = or_(table.last_used_at.is_(None), table.last_used_at <= used_at - _NOTED_EVERY)
        await self.session.execute(
            update(table)
            .where(table.id == row_id, is_news)
            # Being used changes nothing about a credential.
            .values(last_used_at=used_at, updated_at=table.updated_at)
        )


@cache
def _select(model: type[ModelT]) -> Select[tuple[ModelT]]:
    # Advanced Alchemy starts all its queries from it, and would build it anew for every request.
    return select(model)


@cache
def _insert(model: Any, returning: type[msgspec.Struct]) -> ReturningInsert[Any]:
    # On the table, not on the model: entities that nobody wants would take a quarter of the statement's time.
    table: Table = model.__table__
    return insert(table).returning(*(table.c[field] for field in returning.__struct_fields__))
