"""Quotas in a store that hangs, fails, or answers what nobody understands: nobody waits for ever, or behind others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from leasehold.core.quotas import shared
from leasehold.core.quotas.limits import Limits, Policy, Window
from leasehold.core.quotas.memory import ProcessQuotas
from leasehold.core.quotas.shared import Answer, Asked, SharedQuotas, StoreAway
from tests.factories import until

LIMITS = Limits(Policy("client", (Window(10_000, 3600),)))


class Store:
    """A store that answers as a test wants it."""

    def __init__(self, answer: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]]) -> None:
        self.answer = answer
        self.calls: list[int] = []
        """How many requests each call has carried."""

    async def take(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        self.calls.append(len(asked))
        return await self.answer(asked)

    async def forget_whole(self) -> None: ...

    async def close(self) -> None: ...


async def granted(asked: Sequence[Asked]) -> Sequence[Answer]:
    return [(True, [1])] * len(asked)


async def away(_asked: Sequence[Asked]) -> Sequence[Answer]:
    raise StoreAway


async def test_whoever_waits_while_the_store_hangs_waits_for_one_call_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared, "AWAY_S", 60.0)  # else a slow machine may ask again before all have their answers
    hangs = asyncio.Event()

    async def hang(_asked: Sequence[Asked]) -> Sequence[Answer]:
        await hangs.wait()
        raise StoreAway

    store = Store(hang)
    quotas = SharedQuotas(store, ProcessQuotas())
    waiting = [asyncio.create_task(quotas.take(LIMITS, ("acme",))) for _ in range(1500)]
    await until(lambda: bool(store.calls), timeout_s=60)
    hangs.set()
    async with asyncio.timeout(30):
        assert all(is_granted for is_granted, _ in await asyncio.gather(*waiting))
    assert len(store.calls) == 1


async def test_one_request_finds_out_whether_the_store_is_back_and_the_others_do_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared, "AWAY_S", 0.0)
    answers = asyncio.Event()

    async def answer_late(asked: Sequence[Asked]) -> Sequence[Answer]:
        await answers.wait()
        return await granted(asked)

    store = Store(away)
    quotas = SharedQuotas(store, ProcessQuotas())
    await quotas.take(LIMITS, ("acme",))
    store.answer = answer_late
    probe = asyncio.create_task(quotas.take(LIMITS, ("acme",)))
    await until(lambda: len(store.calls) == 2, timeout_s=60)
    async with asyncio.timeout(30):
        await asyncio.gather(*(quotas.take(LIMITS, ("acme",)) for _ in range(300)))
    assert not probe.done()
    answers.set()
    await probe
    await quotas.take(LIMITS, ("acme",))
    assert store.calls == [1, 1, 1]


@pytest.mark.parametrize("answers", [[(False, [])], [], [(True, [1]), (True, [1])]])
async def test_an_answer_that_nobody_understands_leaves_nobody_waiting(answers: list[Answer]) -> None:
    async def answer(_asked: Sequence[Asked]) -> Sequence[Answer]:
        return answers

    quotas = SharedQuotas(Store(answer), ProcessQuotas())
    with pytest.raises(ValueError, match="zip"):
        await asyncio.wait_for(quotas.take(LIMITS, ("acme",)), 30)
