"""How failed attempts are counted."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from leasehold.core.ids import new_id
from leasehold.core.repository import KeysetRepository
from leasehold.workspace.attempts.models import Attempts


class AttemptsRepository(KeysetRepository[Attempts]):
    """The failed attempts in the bound tenant."""

    model_type = Attempts

    async def locked(self, keys: Sequence[bytes], now: datetime) -> list[Attempts]:
        """Return the counts of some keys, made at zero where there were none; nobody else counts them meanwhile."""
        ordered = sorted(set(keys))  # or two who count the same two keys would wait for each other
        rows = [{"id": new_id(), "key": key, "failures": 0, "last_at": now, "blocked_until_at": now} for key in ordered]
        await self.session.execute(insert(Attempts).values(rows).on_conflict_do_nothing(index_elements=["key"]))
        statement = select(Attempts).where(Attempts.key.in_(ordered)).order_by(Attempts.key).with_for_update()
        return list(await self.session.scalars(statement))

    async def forget(self, key: bytes) -> None:
        """Forget the failures of a key."""
        await self.session.execute(delete(Attempts).where(Attempts.key == key))

    async def forget_before(self, before: datetime) -> None:
        """Forget the failures of all whose last was before a time."""
        await self.session.execute(delete(Attempts).where(Attempts.last_at < before))
