"""The quotas that several processes count together, in a store that they all reach.

A process has one call to the store under way at a time, which carries all that was asked meanwhile: so the store sees
few calls under load, and of each process at most one waits for the quota of a busy tenant.

A quota that is used up becomes whole with time alone, whoever asks. So a refusal is remembered until there is room
again, and a flood that is refused does not reach the store.

While the store is away, each process counts by itself: a limit that holds for each is better than none, and than
turning everybody away because the counter is broken. One request at a time finds out whether it is back.
"""

import asyncio
import time
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import structlog

from leasehold.core.failures import kind_of
from leasehold.core.quotas.limits import Limits
from leasehold.core.quotas.memory import ProcessQuotas, Recent

AWAY_S = 1.0
"""For so long a store that failed is not asked again."""
MOST_AT_ONCE = 256

Answer = tuple[bool, list[int]]
"""Whether a request was granted, and how many nanoseconds from now its quotas will be whole, in the order of rates."""

_log = structlog.get_logger(__name__)


class StoreAway(Exception):
    """The store of the quotas cannot be reached, or does not answer in time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that asks for its place, with the key of each of its policies."""

    limits: Limits
    keys: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class _Refused:
    limits: Limits
    at: int
    until: int
    ahead: list[int]


class QuotaStore(Protocol):
    """Where quotas are counted for several processes."""

    async def take(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        """Take each request out of its quotas, in this order, as `ProcessQuotas.take` does.

        Raises:
            StoreAway: it cannot, and nobody knows whether it has.
        """
        ...

    async def forget_whole(self) -> None:
        """Remove the quotas that are whole again, which says no more than that they are not there.

        Raises:
            StoreAway: it cannot.
        """
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


def window_digests(asked: Asked, *, salt: str = "") -> list[bytes]:
    """Return the names that the windows of a request have in a store, in the order of rates: 16 bytes each.

    They do not say whose they are, and another window has another name, so that a changed limit begins whole.
    """
    return [
        blake2b(f"{salt}{policy.name} {window.requests}/{window.seconds} {key!r}".encode(), digest_size=16).digest()
        for policy, key in zip(asked.limits.policies, asked.keys, strict=True)
        for window in policy.windows
    ]


class SharedQuotas:
    """The quotas in a store, as one process sees them. For one event loop."""

    def __init__(self, store: QuotaStore, alone: ProcessQuotas) -> None:
        self._store = store
        self._alone = alone
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._refused = Recent[_Refused]()
        self._calling: asyncio.Task[None] | None = None
        self._away_until = 0
        self._is_away = False

    async def take(self, limits: Limits, keys: tuple[Hashable, ...]) -> Answer:
        """Take one request out of the quota of each key, if all have room: say whether, and how far ahead they lie."""
        now = time.monotonic_ns()
        refused = self._refused.get(keys)
        if refused is not None and now < refused.until and refused.limits is limits:
            return False, [max(one - (now - refused.at), 0) for one in refused.ahead]
        if self._is_away and (now < self._away_until or self._calling is not None):
            return self._take_alone(limits, keys, now)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((Asked(limits, keys), future))
        if self._calling is None:
            self._calling = asyncio.create_task(self._call(), name="quotas")
        return await future

    async def forget_whole(self) -> None:
        """Let the store forget the quotas that are whole again."""
        with suppress(StoreAway):
            await self._store.forget_whole()

    async def close(self) -> None:
        """Close the store."""
        if self._calling is not None:
            await self._calling
        await self._store.close()

    async def _call(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._ask([one for one in waiting if not one[1].done()])
        finally:
            self._calling = None

    async def _ask(self, waiting: Sequence[tuple[Asked, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers = await self._answers([asked for asked, _ in waiting])
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody may wait for ever
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(waiting, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def _answers(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        # Who has waited behind the call that has failed has waited enough.
        if time.monotonic_ns() >= self._away_until:
            try:
                answers = await self._store.take(asked)
            except StoreAway as error:
                self._note_away(error)
            else:
                self._note_back()
                self._remember_refusals(asked, answers)
                return answers
        now = time.monotonic_ns()
        return [self._take_alone(one.limits, one.keys, now) for one in asked]

    def _remember_refusals(self, asked: Sequence[Asked], answers: Sequence[Answer]) -> None:
        now = time.monotonic_ns()
        for one, (granted, ahead) in zip(asked, answers, strict=True):
            if not granted:
                self._refused.keep(one.keys, _Refused(one.limits, now, now + one.limits.wait(ahead), ahead))

    def _take_alone(self, limits: Limits, keys: tuple[Hashable, ...], now: int) -> Answer:
        granted, whole_at = self._alone.take(limits, keys, now)
        return granted, [at - now for at in whole_at]

    def _note_away(self, error: StoreAway) -> None:
        self._away_until = time.monotonic_ns() + int(AWAY_S * 1e9)
        if not self._is_away:
            self._is_away = True
            _log.warning("quota_store_lost", cause=kind_of(error.__cause__), then="each process counts by itself")

    def _note_back(self) -> None:
        if self._is_away:
            self._is_away = False
            _log.warning("quota_store_found")
