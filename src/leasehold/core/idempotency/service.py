"""The rules of idempotency keys, for one unit of work."""

from typing import Generic

from leasehold.core.idempotency.key import Answer, IdempotencyKey, IdempotencyKeyInUse
from leasehold.core.idempotency.repository import KeptAnswerRepository, KeptT


class IdempotencyService(Generic[KeptT]):
    """Claims keys, and keeps answers in the transaction of the work that they tell of."""

    def __init__(self, answers: KeptAnswerRepository[KeptT], *, place: bytes) -> None:
        self._answers = answers
        self._place = place

    async def claim(self, key: IdempotencyKey) -> Answer | None:
        """Return what was answered to the request before; None where it is to be carried out now, by this transaction.

        The lock and the look are two statements: one that takes the lock may have begun before its holder committed,
        and would not see what that left. An INSERT in place of the lock would wait for the other request to end.

        Raises:
            IdempotencyKeyInUse: another transaction carries out a request with this key.
            IdempotencyKeyReused: the key belongs to another request.
        """
        if not await self._answers.try_lock(key.lock(self._place)):
            raise IdempotencyKeyInUse
        kept = await self._answers.find(key)
        if kept is None:
            return None
        key.demand(kept.fingerprint)
        return Answer(kept.status, kept.headers, kept.body)

    async def keep(self, key: IdempotencyKey, answer: Answer) -> None:
        """Keep what is about to be answered."""
        await self._answers.keep(key, answer)
