"""Whose turn it is in the line for a connection."""

import asyncio

import pytest

from leasehold.tenancy.bind.line import Line


async def _served(line: Line[str], *homes: int | None) -> list[str]:
    """Give to each of these sub-pools in turn, and return who was served."""
    return ["x" if line.give("x", home) else "nobody" for home in homes]


def _done(*waiters: "asyncio.Future[str]") -> list[bool]:
    return [waiter.done() for waiter in waiters]


async def test_who_came_first_is_served_first() -> None:
    line = Line[str](2, patience=8)
    first, second = line.join(0), line.join(0)
    assert line.give("one", 0)
    assert _done(first, second) == [True, False]
    assert line.give("two", 0)
    assert (first.result(), second.result()) == ("one", "two")


async def test_a_connection_goes_to_who_waits_for_its_sub_pool() -> None:
    line = Line[str](2, patience=8)
    other, own = line.join(0), line.join(1)
    assert line.give("x", 1)
    assert _done(other, own) == [False, True]


async def test_a_connection_for_whose_sub_pool_nobody_waits_goes_to_another() -> None:
    line = Line[str](2, patience=8)
    other = line.join(0)
    assert line.give("x", 1)
    assert other.result() == "x"


async def test_nobody_is_passed_by_more_than_patience_allows() -> None:
    line = Line[str](2, patience=3)
    passed = line.join(0)
    later = [line.join(1) for _ in range(6)]
    for _ in range(4):
        line.give("x", 1)
    assert passed.done()
    assert _done(*later) == [True, True, True, False, False, False]


async def test_what_belongs_to_no_sub_pool_goes_to_who_waits_longest() -> None:
    line = Line[str](3, patience=8)
    first, second = line.join(2), line.join(0)
    line.give("x", None)
    assert _done(first, second) == [True, False]


async def test_with_nobody_in_the_line_nothing_is_given() -> None:
    assert await _served(Line[str](2, patience=8), 0, None) == ["nobody", "nobody"]


@pytest.mark.parametrize("home", [0, 1])
async def test_who_gave_up_is_passed_over_and_forgotten(home: int) -> None:
    line = Line[str](2, patience=8)
    gone, waiting = line.join(0), line.join(1)
    gone.cancel()
    assert line.give("x", home)
    assert waiting.result() == "x"
    assert not line.give("x", home)
