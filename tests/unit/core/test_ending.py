"""What goes on for ever ends when it is told to, also where it does not hear it the first time."""

import asyncio
from contextlib import suppress

import pytest

from leasehold.core import ending
from leasehold.core.ending import ended


async def test_a_task_whose_cancellation_an_error_has_taken_the_place_of_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending, "_AGAIN_S", 0.01)
    lost = 0

    async def go_on() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost == 2:
                    raise
                lost += 1

    task = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await ended(task)
    assert (task.cancelled(), lost) == (True, 2)


async def test_an_error_with_which_it_ended_is_told() -> None:
    async def fail() -> None:
        raise ConnectionError("gone")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    with pytest.raises(ConnectionError, match="gone"):
        await ended(task)


async def test_whoever_waits_for_the_end_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_AGAIN_S", 60)

    async def be_deaf() -> None:
        while not heard.is_set():
            with suppress(asyncio.CancelledError):
                await heard.wait()

    heard = asyncio.Event()
    task = asyncio.create_task(be_deaf())
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ended(task)
    heard.set()
    await task
