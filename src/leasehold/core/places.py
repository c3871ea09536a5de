"""Places for what is handed out without asking whose turn it is: connections of SQLAlchemy, room on a disk."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from uuid import UUID

from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.line import Line


class Places:
    """So many at once, and of one tenant at most its share; who comes then waits in the line."""

    def __init__(self, size: int, *, share: int, timeout_s: float) -> None:
        self.timeouts = 0
        """How often somebody has waited in vain, whose tenant had not its share."""
        self._free = size
        self._timeout_s = timeout_s
        self._line = Line[None](1, share=share, unwanted=self._offer)

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._line)

    def enter(self, tenant_id: UUID) -> Awaitable[None] | None:
        """Take a place for a tenant, and return what to wait for where there is none; it is given back by `leave`.

        Raises, when it is waited for:
            TooManyAtOnce, DatabaseUnavailable: see `Line.wait`.
        """
        if not self._free or not self._line.admits(tenant_id):
            return self._wait(tenant_id)
        self._free -= 1
        self._line.took(tenant_id)
        return None

    def leave(self, tenant_id: UUID) -> None:
        """Give back a place of a tenant."""
        self._line.gave_back(tenant_id)
        self._offer()

    @asynccontextmanager
    async def taken(self, tenant_id: UUID) -> AsyncGenerator[None]:
        """Hold a place of a tenant for a block. What every request passes calls `enter` and `leave`, which cost less.

        Raises:
            TooManyAtOnce, DatabaseUnavailable: see `Line.wait`.
        """
        turn = self.enter(tenant_id)
        if turn is not None:
            await turn
        try:
            yield
        finally:
            self.leave(tenant_id)

    async def _wait(self, tenant_id: UUID) -> None:
        try:
            await self._line.wait(tenant_id, asyncio.get_running_loop().time() + self._timeout_s)
        except DatabaseUnavailable:
            self.timeouts += 1
            raise

    def _offer(self, _given: None = None) -> None:
        if not self._line.give(None, 0):
            self._free += 1
