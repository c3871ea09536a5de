"""The line of those who wait for one of a few things, such as connections, of which no tenant may hold all.

Tenants take turns: whoever asks a thousand times waits behind itself, and who asks once waits for one turn of each
other tenant at most. And a tenant that holds its share gets no more until it has given one back, though there be some
to give: what is slow with one tenant must not keep the others waiting.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar
from uuid import UUID

from leasehold.core.errors import DatabaseUnavailable, Problem

GivenT = TypeVar("GivenT")
MOST_WAITING = 1000
"""So many of one tenant wait in a line at most. Each holds a whole request in memory, and a longer line is seldom
served in time: six connections, half of a pool by default, serve a thousand in five seconds if each takes 30 ms."""


class TooManyAtOnce(Problem):
    """This tenant has as many requests under way at once as it may, and more of them than are done in time."""

    status = 429
    type = "too-many-at-once"
    title = "Too many requests at once"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


@dataclass(slots=True)
class _Turn(Generic[GivenT]):
    """The next turn of one tenant: the lower the number, the earlier it comes."""

    number: int
    waiters: OrderedDict[asyncio.Future[GivenT], None] = field(
        default_factory=OrderedDict["asyncio.Future[GivenT]", None]
    )
    """In the order in which they came. Not a deque, which would look through all of them for who gives up."""


_Turns = OrderedDict[UUID, _Turn[GivenT]]
_First = tuple[UUID, _Turn[GivenT], "asyncio.Future[GivenT]"]


class Line(Generic[GivenT]):
    """Who waits, and how many each tenant holds. `unwanted` takes back what was given to who was cancelled just then.

    What belongs to a sub-pool goes to who waits for that one, or a connection would meet every tenant in turn as soon
    as there is a line at all. But nobody is passed by more than `patience` turns that came later.
    """

    def __init__(self, sub_pools: int, *, share: int, unwanted: Callable[[GivenT], object], patience: int = 0) -> None:
        self._turns: list[_Turns[GivenT]] = [OrderedDict() for _ in range(sub_pools)]
        self._held: dict[UUID, int] = {}
        self._numbers = count()
        self._share = share
        self._unwanted = unwanted
        self._patience = patience
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def admits(self, tenant_id: UUID) -> bool:
        """Tell whether a tenant holds less than its share."""
        return self._held.get(tenant_id, 0) < self._share

    def took(self, tenant_id: UUID) -> None:
        """Note that a tenant holds one more; who is given one in the line is noted there."""
        self._held[tenant_id] = self._held.get(tenant_id, 0) + 1

    def gave_back(self, tenant_id: UUID) -> None:
        """Note that a tenant holds one less; whoever says so has something to give, or makes room for it."""
        held = self._held[tenant_id] - 1
        if held:
            self._held[tenant_id] = held
        else:
            del self._held[tenant_id]

    async def wait(self, tenant_id: UUID, deadline: float, *, home: int = 0) -> GivenT:
        """Return what is given to a tenant for whom no more came before it; it holds one more then.

        Raises:
            TooManyAtOnce: nothing came before the deadline (seconds of the loop's clock), and the tenant has its share;
                or so many of it wait already that this is said at once.
            DatabaseUnavailable: nothing came, and others have it all.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[GivenT] = loop.create_future()
        turns = self._turns[home]
        self._join(turns, tenant_id, waiter)
        # Not `asyncio.timeout`, which costs more than all the rest of waiting.
        timer = loop.call_at(deadline, _give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and not waiter.exception():
                # It was served in the moment in which it was cancelled: what it was given goes to the next one.
                self.gave_back(tenant_id)
                self._unwanted(waiter.result())
            raise
        except DatabaseUnavailable as error:
            if self.admits(tenant_id):
                raise
            raise TooManyAtOnce from error
        finally:
            timer.cancel()
            self._leave(turns, tenant_id, waiter)
            # An exception holds this frame, and this frame what holds the exception: without this, every request that
            # is refused would stay in memory until the garbage collector comes.
            del waiter

    def give(self, given: GivenT, home: int | None) -> bool:
        """Give something to whose turn it is, somebody of this sub-pool if possible, and say whether anybody takes it.

        Nobody does whose tenant has its share.
        """
        if not self._waiting:
            return False
        firsts = [(turns, first) for turns in self._turns if (first := self._first(turns)) is not None]
        if not firsts:
            return False
        turns, (tenant_id, turn, waiter) = min(firsts, key=_number)
        own = None if home is None else self._first(self._turns[home])
        if home is not None and own is not None and own[1].number - turn.number <= self._patience:
            turns, (tenant_id, turn, waiter) = self._turns[home], own
        self._leave(turns, tenant_id, waiter)
        if turn.waiters:
            turn.number = next(self._numbers)
            turns.move_to_end(tenant_id)
        self.took(tenant_id)
        waiter.set_result(given)
        return True

    def _join(self, turns: _Turns[GivenT], tenant_id: UUID, waiter: asyncio.Future[GivenT]) -> None:
        turn = turns.get(tenant_id)
        if turn is None:
            turn = turns[tenant_id] = _Turn[GivenT](next(self._numbers))
        elif len(turn.waiters) >= MOST_WAITING:
            raise TooManyAtOnce
        turn.waiters[waiter] = None
        self._waiting += 1

    def _leave(self, turns: _Turns[GivenT], tenant_id: UUID, waiter: asyncio.Future[GivenT]) -> None:
        """Take somebody out of the line, at once: each who waits holds a whole request."""
        turn = turns.get(tenant_id)
        if turn is None or waiter not in turn.waiters:
            return
        del turn.waiters[waiter]
        self._waiting -= 1
        if not turn.waiters:
            del turns[tenant_id]

    def _first(self, turns: _Turns[GivenT]) -> _First[GivenT] | None:
        """Return whose turn comes first among the tenants who may have more."""
        for tenant_id, turn in turns.items():
            if not self.admits(tenant_id):
                continue
            for waiter in turn.waiters:
                # Who was cancelled just now is still in the line.
                if not waiter.done():
                    return tenant_id, turn, waiter
        return None


def _number(found: tuple[object, _First[GivenT]]) -> int:
    return found[1][1].number


def _give_up(waiter: "asyncio.Future[GivenT]") -> None:
    if not waiter.done():
        waiter.set_exception(DatabaseUnavailable())
