"""Ends what goes on until it is told to stop."""

import asyncio

_AGAIN_S = 1.0


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended, and raise the error with which it did, if that is none of being cancelled.

    Once is not enough: where the connection dies just then, the rollback's error takes the place of the cancellation,
    and what goes on whatever happens goes on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN_S)
    if not task.cancelled():
        task.result()
