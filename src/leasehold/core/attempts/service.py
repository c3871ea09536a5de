"""How attempts are counted, and how long who fails must wait.

An attempt is counted as failed before it is looked at, in a transaction that is over by then: so neither a burst of
guesses at once, nor a process that dies, nor a restart gains one guess. A success takes its count back.
"""

import hashlib
import hmac
import math
from dataclasses import dataclass
from typing import Generic

from leasehold.core.attempts.repository import AttemptsRepository, AttemptsT
from leasehold.core.attempts.rule import (
    FORGOTTEN_AFTER,
    FREE_PER_ACCOUNT,
    FREE_PER_ADDRESS,
    TooManyAttempts,
    site_of,
    wait_after,
)
from leasehold.core.clock import utc_now


@dataclass(frozen=True, slots=True)
class Counted:
    """Whom attempts are counted for, and how many may fail before the first wait."""

    key: bytes
    free: int


class AttemptService(Generic[AttemptsT]):
    """The failed attempts in one plane, for one unit of work."""

    def __init__(self, attempts: AttemptsRepository[AttemptsT], *, pepper: bytes) -> None:
        self._repository = attempts
        self._pepper = pepper

    def account(self, name: str, purpose: str = "account") -> Counted:
        """Return the count of the account of this name or address, whether there is one or not."""
        return Counted(self._digest(purpose, name.lower()), free=FREE_PER_ACCOUNT)

    def address(self, address: str, purpose: str = "address") -> Counted:
        """Return the count of a client's address."""
        return Counted(self._digest(purpose, site_of(address)), free=FREE_PER_ADDRESS)

    async def begin(self, *counted: Counted) -> None:
        """Count an attempt as failed.

        Raises:
            TooManyAttempts: it is not to be looked at, and is not counted.
        """
        found = {row.key: row for row in await self._repository.locked([one.key for one in counted], utc_now())}
        now = utc_now()  # behind the lock, or an earlier attempt that was let in later would be in the future
        rows = [(one, found[one.key]) for one in counted if one.key in found]
        until = max((row.blocked_until_at for _, row in rows), default=now)
        if until > now:
            raise TooManyAttempts(math.ceil((until - now).total_seconds()))
        for one, row in rows:
            row.failures = 1 + (row.failures if now - row.last_at < FORGOTTEN_AFTER else 0)
            row.last_at = now
            row.blocked_until_at = now + wait_after(row.failures, free=one.free)

    async def succeed(self, account: Counted, *others: Counted) -> None:
        """Forget the failures of an account, and take back what this attempt was counted as for the others."""
        # All at once and in order, as `begin` does, or the two would wait for each other.
        for row in await self._repository.locked([one.key for one in (account, *others)], utc_now()):
            row.failures = max(0, row.failures - 1)
        await self._repository.forget(account.key)

    async def forget(self, account: Counted) -> None:
        """Forget the failures of an account whose owner has shown to be so in another way."""
        await self._repository.forget(account.key)

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.new(self._pepper, f"attempts {kind} {text}".encode(), hashlib.sha256).digest()
