"""How long a run waits: for locks, for statements, and between two attempts."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from leasehold.core.sqlstate import sqlstate_of

T = TypeVar("T")

IN_THE_WAY = frozenset({"55P03", "40P01", "40001", "53300"})
"""lock_not_available, deadlock_detected, serialization_failure, too_many_connections: a later attempt may do."""

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds, but for the number of attempts."""

    lock_timeout_s: float = 2.0
    """What waits for a lock makes everybody else wait behind it, so it waits shortly and comes back."""
    statement_timeout_s: float = 600.0
    index_timeout_s: float = 1800.0
    """For what runs outside a transaction: CREATE INDEX CONCURRENTLY waits for the transactions of all tenants."""
    attempts: int = 6
    """How often a tenant is tried whose locks others hold."""
    idle_timeout_s: float = 300.0
    """How long a transaction may wait for its own runner, which may sleep and hold a tenant's locks meanwhile.

    A live revision may compute between two statements, though hardly for minutes: then the lease has long run out.
    """

    def pause_s(self, attempt: int) -> float:
        """Return the seconds after a failed attempt, the first being 1; no two runs come back at the same time."""
        longest = min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S)
        return random.uniform(longest / 2, longest)  # noqa: S311  # nobody need be surprised

    @property
    def in_transaction(self) -> str:
        """The statements that set the limits of a transaction."""
        return (
            f"SET LOCAL lock_timeout = {_ms(self.lock_timeout_s)}; "
            f"SET LOCAL statement_timeout = {_ms(self.statement_timeout_s)}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {_ms(self.idle_timeout_s)}"
        )

    @property
    def alone(self) -> str:
        """The statements that set the limits of a connection for what runs outside a transaction."""
        return f"SET lock_timeout = 0; SET statement_timeout = {_ms(self.index_timeout_s)}"


async def patiently(work: Callable[[], Awaitable[T]], limits: Limits) -> T:
    """Do what the whole run needs, again and again while others hold its locks, and return what it comes to."""
    attempt = 1
    while True:
        try:
            return await work()
        except Exception as error:
            if sqlstate_of(error) not in IN_THE_WAY or attempt == limits.attempts:
                raise
        await asyncio.sleep(limits.pause_s(attempt))
        attempt += 1


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
