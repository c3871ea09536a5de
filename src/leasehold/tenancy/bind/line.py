"""The line of those who wait for a reading connection."""

import asyncio
from collections import deque
from itertools import count
from typing import Generic, TypeVar

GivenT = TypeVar("GivenT")


class Line(Generic[GivenT]):
    """Who waits, by the sub-pool of their tenant, each in the order in which they came.

    A connection goes to who waits for its own sub-pool, or it would meet every tenant in turn as soon as there is a
    line at all. But nobody is passed by more than `patience` who came later.
    """

    def __init__(self, sub_pools: int, *, patience: int) -> None:
        self._queues: list[deque[tuple[int, asyncio.Future[GivenT]]]] = [deque() for _ in range(sub_pools)]
        self._numbers = count()
        self._patience = patience

    def __len__(self) -> int:
        self.forget_who_gave_up()
        return sum(map(len, self._queues))

    def join(self, home: int) -> asyncio.Future[GivenT]:
        """Return what is given to who stands last in the line of a sub-pool, when it is its turn."""
        waiter: asyncio.Future[GivenT] = asyncio.get_running_loop().create_future()
        self._queues[home].append((next(self._numbers), waiter))
        return waiter

    def give(self, given: GivenT, home: int | None) -> bool:
        """Give something to whose turn it is, somebody of this sub-pool if possible, and say whether anybody waits."""
        self.forget_who_gave_up()
        waiting = [queue for queue in self._queues if queue]
        if not waiting:
            return False
        queue = min(waiting, key=_number_of_first)
        if home is not None and (own := self._queues[home]):
            queue = own if own[0][0] - queue[0][0] <= self._patience else queue
        queue.popleft()[1].set_result(given)
        return True

    def forget_who_gave_up(self) -> None:
        """Take those out of the line who wait no more; all wait equally long, so they stand in front.

        It is not enough to pass them by when there is something to give: while the database hangs there is nothing,
        and each of them holds its whole request.
        """
        for queue in self._queues:
            while queue and queue[0][1].done():
                queue.popleft()


def _number_of_first(queue: deque[tuple[int, asyncio.Future[GivenT]]]) -> int:
    return queue[0][0]
