"""Long work in slices, between which the event loop serves everybody else."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_LOOKED_AT = 50
"""About a millisecond, for what is checked or shown."""
WRITTEN = 100
"""Rows that are sent to the database in one statement: some three milliseconds of the process."""


async def slices(items: Sequence[ItemT], size: int) -> AsyncGenerator[Sequence[ItemT]]:
    """Yield the items in slices of this size, and let others have their turn between them."""
    for start in range(0, len(items), size):
        if start:
            await asyncio.sleep(0)
        yield items[start : start + size]


async def each(
    function: Callable[[ItemT], ResultT], items: Sequence[ItemT], *, size: int = _LOOKED_AT
) -> list[ResultT]:
    """Return what a function says of each item; others have their turns meanwhile."""
    return [function(item) async for some in slices(items, size) for item in some]
