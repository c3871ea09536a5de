"""How failed attempts are counted."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from leasehold.core.attempts.models import Attempts
from leasehold.core.ids import new_id
from leasehold.core.repository import KeysetRepository

AttemptsT = TypeVar("AttemptsT", bound=Attempts)


class AttemptsRepository(KeysetRepository[AttemptsT]):
    """The failed attempts in one plane."""

    async def locked(self, keys: Sequence[bytes], now: datetime) -> list[AttemptsT]:
        """Return the counts of some keys, made at zero where there were none; nobody else counts them meanwhile."""
        table = self.model_type
        ordered = sorted(set(keys))  # or two who count the same two keys would wait for each other
        rows = [{"id": new_id(), "key": key, "failures": 0, "last_at": now, "blocked_until_at": now} for key in ordered]
        await self.session.execute(insert(table).values(rows).on_conflict_do_nothing(index_elements=["key"]))
        statement = select(table).where(table.key.in_(ordered)).order_by(table.key).with_for_update()
        return list(await self.session.scalars(statement))

    async def forget(self, key: bytes) -> None:
        """Forget the failures of a key."""
        await self.session.execute(delete(self.model_type).where(self.model_type.key == key))

    async def forget_before(self, before: datetime) -> None:
        """Forget the failures of all whose last was before a time."""
        await self.session.execute(delete(self.model_type).where(self.model_type.last_at < before))
