"""How kept answers are read and written."""

from typing import TypeVar

from sqlalchemy import CursorResult, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from leasehold.core.clock import utc_now
from leasehold.core.idempotency.key import KEPT, Answer, IdempotencyKey
from leasehold.core.idempotency.models import KeptAnswer
from leasehold.core.ids import new_id
from leasehold.core.repository import KeysetRepository

KeptT = TypeVar("KeptT", bound=KeptAnswer)


class KeptAnswerRepository(KeysetRepository[KeptT]):
    """The kept answers of one plane. One that has expired is not there, whether it was deleted yet or not."""

    async def try_lock(self, number: int) -> bool:
        """Take an advisory lock to the end of the transaction, and say whether it was free."""
        return bool(await self.session.scalar(select(func.pg_try_advisory_xact_lock(number))))

    async def find(self, key: IdempotencyKey) -> KeptT | None:
        """Return what is kept under a key, whatever request it belongs to."""
        table = self.model_type
        return await self.session.scalar(
            select(table).where(
                table.subject == key.subject, table.key == key.text, table.created_at > utc_now() - KEPT
            )
        )

    async def keep(self, key: IdempotencyKey, answer: Answer) -> None:
        """Keep an answer, in the place of one that has expired. Whoever calls it holds the lock of the key."""
        values = {
            "id": new_id(),
            "subject": key.subject,
            "key": key.text,
            "fingerprint": key.fingerprint,
            "status": answer.status,
            "headers": dict(answer.headers),
            "body": answer.body,
            "created_at": utc_now(),
        }
        statement = insert(self.model_type).values(values)
        await self.session.execute(statement.on_conflict_do_update(index_elements=["subject", "key"], set_=values))

    async def forget_expired(self, *, limit: int) -> int:
        """Delete up to `limit` of the rows that have expired, the oldest first, and return how many they were."""
        table = self.model_type
        expired = (
            select(table.id)
            .where(table.created_at <= utc_now() - KEPT)
            .order_by(table.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("expired")
        )
        result = await self.session.execute(delete(table).where(table.id.in_(select(expired.c.id))))
        return result.rowcount if isinstance(result, CursorResult) else 0
