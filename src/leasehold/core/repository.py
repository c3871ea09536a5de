"""What every repository of ours shares: keyset pages, and no work that was not asked for."""

from typing import Any, TypeVar
from uuid import UUID

from advanced_alchemy.filters import LimitOffset
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

ModelT = TypeVar("ModelT", bound=Any)


class KeysetRepository(SQLAlchemyAsyncRepository[ModelT]):
    """An Advanced Alchemy repository whose lists are read by keyset, in the order of ids, never by offset."""

    def __init__(self, *, session: AsyncSession, **options: Any) -> None:
        super().__init__(session=session, **options)
        # Advanced Alchemy would hide SQLSTATE and constraint behind errors of its own.
        self.wrap_exceptions = False

    async def page_after(self, after: UUID | None, *, limit: int) -> list[ModelT]:
        """Return up to `limit` rows behind the row `after`, or from the start, in the order they were made."""
        key: InstrumentedAttribute[UUID] = self.model_type.id
        conditions = [key > after] if after is not None else []
        rows = await self.get_many(*conditions, LimitOffset(limit=limit, offset=0), order_by=(key, False))
        return list(rows)
