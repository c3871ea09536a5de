"""Long work leaves others their turns, and says of each item what it says."""

import asyncio

from leasehold.core.slices import each, slices


async def test_others_have_their_turns_between_slices_and_none_where_there_is_one_slice() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert [list(some) async for some in slices(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert turns == 2
    assert [list(some) async for some in slices(range(5), 5)] == [[0, 1, 2, 3, 4]]
    assert turns == 2
    assert await each(str, range(201)) == [str(number) for number in range(201)]
    assert turns == 2 + 4
    counting.cancel()


async def test_of_nothing_there_is_no_slice() -> None:
    assert [some async for some in slices([], 3)] == []
    assert await each(str, []) == []
