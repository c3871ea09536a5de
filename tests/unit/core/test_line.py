"""Whose turn it is in the line for a connection, and how many of them a tenant may hold."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.line import MOST_WAITING, Line, TooManyAtOnce

ACME, GLOBEX, INITECH = UUID(int=1), UUID(int=2), UUID(int=3)


class Waiting:
    """A line, those who wait in it, and what comes back from who was cancelled."""

    def __init__(self, sub_pools: int = 1, **options: Any) -> None:
        self.unwanted: list[str] = []
        self.line = Line[str](sub_pools, unwanted=self.unwanted.append, **({"share": 9, "patience": 8} | options))

    async def join(self, tenant_id: UUID, home: int = 0, *, for_s: float = 60.0) -> "asyncio.Task[str]":
        deadline = asyncio.get_running_loop().time() + for_s
        task = asyncio.create_task(self.line.wait(tenant_id, deadline, home=home))
        await asyncio.sleep(0)
        return task

    async def given(self, *homes: int | None) -> list[bool]:
        """Give to each of these sub-pools in turn, and return whether somebody took it."""
        taken = [self.line.give("x", home) for home in homes]
        await asyncio.sleep(0)
        return taken


async def _done(*tasks: "asyncio.Task[str]") -> list[bool]:
    await asyncio.sleep(0)
    done = [task.done() for task in tasks]
    for task in tasks:
        task.cancel()
    return done


async def test_of_one_tenant_who_came_first_is_served_first() -> None:
    waiting = Waiting()
    first, second = await waiting.join(ACME), await waiting.join(ACME)
    assert await waiting.given(0) == [True]
    assert await _done(first, second) == [True, False]


async def test_tenants_take_turns_however_often_one_of_them_asks() -> None:
    waiting = Waiting()
    flood = [await waiting.join(ACME) for _ in range(5)]
    other, third = await waiting.join(GLOBEX), await waiting.join(INITECH)
    assert await waiting.given(0, 0, 0, 0) == [True] * 4
    assert await _done(*flood, other, third) == [True, True, False, False, False, True, True]


async def test_a_tenant_that_holds_its_share_is_passed_over_until_it_gives_one_back() -> None:
    waiting = Waiting(share=2)
    waiting.line.took(ACME)
    waiting.line.took(ACME)
    first, other = await waiting.join(ACME), await waiting.join(GLOBEX)
    assert await waiting.given(0, 0) == [True, False]
    assert [first.done(), other.done()] == [False, True]
    waiting.line.gave_back(ACME)
    assert await waiting.given(0) == [True]
    assert await _done(first) == [True]
    assert not waiting.line.admits(ACME)


async def test_a_connection_goes_to_who_waits_for_its_sub_pool() -> None:
    waiting = Waiting(2)
    other, own = await waiting.join(ACME, 0), await waiting.join(GLOBEX, 1)
    assert await waiting.given(1) == [True]
    assert await _done(other, own) == [False, True]


async def test_a_connection_for_whose_sub_pool_nobody_waits_goes_to_another() -> None:
    waiting = Waiting(2)
    other = await waiting.join(ACME, 0)
    assert await waiting.given(1) == [True]
    assert await _done(other) == [True]


async def test_nobody_is_passed_by_more_turns_than_patience_allows() -> None:
    waiting = Waiting(2, patience=3)
    passed = await waiting.join(ACME, 0)
    later = [await waiting.join(UUID(int=10 + number), 1) for number in range(6)]
    await waiting.given(1, 1, 1, 1)
    assert await _done(passed, *later) == [True, True, True, True, False, False, False]


async def test_what_belongs_to_no_sub_pool_goes_to_whose_turn_came_first() -> None:
    waiting = Waiting(3)
    first, second = await waiting.join(ACME, 2), await waiting.join(GLOBEX, 0)
    await waiting.given(None)
    assert await _done(first, second) == [True, False]


async def test_with_nobody_in_the_line_nothing_is_given() -> None:
    assert await Waiting(2).given(0, None) == [False, False]


@pytest.mark.parametrize("home", [0, 1])
async def test_who_gave_up_is_passed_over_and_forgotten(home: int) -> None:
    waiting = Waiting(2)
    gone, there = await waiting.join(ACME, 0), await waiting.join(GLOBEX, 1)
    gone.cancel()
    assert await waiting.given(home, home) == [True, False]
    assert await _done(there) == [True]
    assert len(waiting.line) == 0


async def test_what_is_given_to_who_is_cancelled_just_then_is_taken_back() -> None:
    waiting = Waiting(share=1)
    gone = await waiting.join(ACME)
    assert waiting.line.give("x", 0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert waiting.unwanted == ["x"]
    assert waiting.line.admits(ACME)


@pytest.mark.parametrize(("held", "told"), [(1, TooManyAtOnce), (0, DatabaseUnavailable)])
async def test_who_waits_in_vain_is_told_whether_its_own_tenant_is_the_reason(held: int, told: type[Exception]) -> None:
    waiting = Waiting(share=1)
    for _ in range(held):
        waiting.line.took(ACME)
    with pytest.raises(told):
        await (await waiting.join(ACME, for_s=0.01))
    assert len(waiting.line) == 0


async def test_who_comes_when_too_many_of_its_own_tenant_wait_already_is_refused_at_once() -> None:
    waiting = Waiting()
    flood = [await waiting.join(ACME) for _ in range(MOST_WAITING)]
    refused, other = await waiting.join(ACME), await waiting.join(GLOBEX)
    await asyncio.sleep(0)
    assert isinstance(refused.exception(), TooManyAtOnce)
    assert len(waiting.line) == MOST_WAITING + 1
    assert await waiting.given(0, 0) == [True, True]
    later = await waiting.join(ACME)
    assert await _done(flood[0], other, later, *flood[1:]) == [True, True] + [False] * MOST_WAITING


async def test_who_is_served_or_leaves_is_looked_for_among_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the flood of one tenant takes the processor from all: the more of it waits, the longer each takes."""
    compared: list[object] = []

    class Waiter(asyncio.Future[str]):
        def __eq__(self, other: object) -> bool:
            compared.append(other)
            return self is other

        def __hash__(self) -> int:
            return id(self)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "create_future", lambda: Waiter(loop=loop))
    waiting = Waiting(share=99)
    tasks = [await waiting.join(ACME) for _ in range(50)]
    tasks[40].cancel()
    assert await waiting.given(0, 0, 0) == [True] * 3
    assert [number for number, task in enumerate(tasks) if task.done()] == [0, 1, 2, 40]
    assert compared == []
    assert len(waiting.line) == 46
    await _done(*tasks)


async def test_who_leaves_the_middle_of_the_line_changes_nobodys_turn() -> None:
    waiting = Waiting()
    first, gone, third = [await waiting.join(ACME) for _ in range(3)]
    gone.cancel()
    assert await waiting.given(0, 0, 0) == [True, True, False]
    assert await _done(first, third) == [True, True]
