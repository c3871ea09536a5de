"""The readers' connections: no room and no turn is lost, whoever comes, fails and is cancelled. Without a database."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from leasehold.core.database import driver_url
from leasehold.core.errors import DatabaseUnavailable
from leasehold.tenancy.bind.pool import ReaderConnection, ReaderPool

_NOWHERE = "postgresql+asyncpg://nobody@nowhere/nothing"
_CONNECT = asyncpg.connect

A, B, C, D, E = (UUID(int=number) for number in range(1, 6))


class Connection:
    """A connection to nothing."""

    def __init__(self) -> None:
        self.home = self.hand_overs = 0
        self.tenant_id: UUID | None = None
        self.tenants: set[UUID] = set()
        self.gone = False
        self.is_silent = False

    def is_closed(self) -> bool:
        return self.gone

    def is_in_transaction(self) -> bool:
        return False

    def terminate(self) -> None:
        self.gone = True

    async def close(self, *, timeout: float) -> None:  # noqa: ASYNC109  # as the driver has it
        self.gone = True
        if self.is_silent:
            raise TimeoutError


class Dialled:
    """What the driver opens, and whether it can."""

    def __init__(self) -> None:
        self.made: list[Connection] = []
        self.is_refused: Callable[[], bool] = lambda: False

    async def connect(self, url: str, **options: Any) -> Any:
        if url != driver_url(_NOWHERE):
            return await _CONNECT(url, **options)  # of the application of other tests, which goes on beside these
        await asyncio.sleep(0)
        if self.is_refused():
            raise ConnectionRefusedError
        self.made.append(Connection())
        return self.made[-1]


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> Dialled:
    made = Dialled()
    monkeypatch.setattr(asyncpg, "connect", made.connect)
    return made


def _pool(size: int, *, timeout_s: float = 60.0, **options: Any) -> ReaderPool:
    return ReaderPool(
        _NOWHERE,
        size=size,
        sub_pools=2,
        max_tenants=100,
        timeout_s=timeout_s,
        prepared_statements=True,
        tenant_roles=True,
        **options,
    )


async def _comes(pool: ReaderPool, tenant_id: UUID) -> "asyncio.Task[ReaderConnection]":
    task = asyncio.create_task(pool.acquire(tenant_id))
    await asyncio.sleep(0)
    return task


async def test_who_is_given_room_to_open_a_connection_has_it_though_another_comes_in_that_moment(
    dialled: Dialled,
) -> None:
    pool = _pool(2, share=1)
    broken, free = await pool.acquire(B), await pool.acquire(D)
    waiting = await _comes(pool, A)
    newcomer = asyncio.create_task(pool.acquire(E))
    asyncio.get_running_loop().call_soon(pool.release, free)
    pool.discard(broken)  # the newcomer and the release come before who waits has heard of it
    async with asyncio.timeout(30):
        mine, its = await waiting, await newcomer
    assert mine is not free
    assert its is free
    assert (pool.open, pool.idle, pool.waiting) == (2, 0, 0)


async def test_who_is_given_room_keeps_its_turn_before_who_comes_later(dialled: Dialled) -> None:
    pool = _pool(1)
    held = await pool.acquire(B)
    waiting = await _comes(pool, A)
    newcomer = asyncio.create_task(pool.acquire(E))
    pool.discard(held)
    await asyncio.wait({waiting, newcomer}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    assert waiting.done()
    assert not newcomer.done()
    pool.release(await waiting)
    pool.release(await newcomer)


async def test_room_in_which_nothing_could_be_opened_is_offered_to_one_alone(dialled: Dialled) -> None:
    pool = _pool(1)
    held = await pool.acquire(B)
    waiting = [await _comes(pool, tenant_id) for tenant_id in (A, C, D, E)]
    refusals = iter([True])
    dialled.is_refused = lambda: next(refusals, False)
    pool.discard(held)
    with pytest.raises(DatabaseUnavailable):
        await waiting[0]
    pool.release(await waiting[1])
    third = await waiting[2]
    assert not waiting[3].done()
    pool.release(third)
    pool.release(await waiting[3])
    assert (pool.open, pool.idle, len(dialled.made)) == (1, 1, 2)


async def test_room_goes_on_when_who_was_given_it_is_cancelled_just_then(dialled: Dialled) -> None:
    pool = _pool(1)
    held = await pool.acquire(B)
    gone, waiting = await _comes(pool, A), await _comes(pool, C)
    pool.discard(held)
    gone.cancel()
    pool.release(await waiting)
    assert (pool.open, pool.idle) == (1, 1)
    (held,) = [await pool.acquire(B)]
    gone = await _comes(pool, A)
    pool.discard(held)
    gone.cancel()
    await asyncio.wait({gone})
    assert (pool.open, pool.idle) == (0, 0)


@pytest.mark.parametrize("seed", range(30))
async def test_no_connection_and_no_room_is_lost_whoever_fails_and_is_cancelled_and_when(
    dialled: Dialled, seed: int
) -> None:
    chance = random.Random(seed)
    dialled.is_refused = lambda: chance.random() < 0.2
    pool = _pool(3, share=2)
    inside: Counter[UUID] = Counter()

    async def visit(tenant_id: UUID, after: int, yields: int, end: float) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        connection = await pool.acquire(tenant_id)
        inside[tenant_id] += 1
        try:
            assert inside[tenant_id] <= 2
            assert inside.total() <= pool.open <= 3
            for _ in range(yields):
                await asyncio.sleep(0)
        except BaseException:
            inside[tenant_id] -= 1
            pool.discard(connection)
            raise
        inside[tenant_id] -= 1
        if end < 0.3:
            pool.discard(connection)
        elif end > 0.7 or not pool.hand_over(connection):
            pool.release(connection)

    visits = [
        asyncio.create_task(
            visit(chance.choice([A, B, C, D]), chance.randrange(30), chance.randrange(4), chance.random())
        )
        for _ in range(60)
    ]
    async with asyncio.timeout(30):  # who waits in vain does so for a minute
        while not all(task.done() for task in visits):
            await asyncio.sleep(0)
            assert not (pool.waiting and inside.total() == 0 and pool.idle == 3)
            if chance.random() < 0.3:
                chance.choice(visits).cancel()
    results = await asyncio.gather(*visits, return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), asyncio.CancelledError, DatabaseUnavailable}
    assert (pool.waiting, pool.timeouts) == (0, 0)
    assert pool.idle == pool.open == sum(not connection.gone for connection in dialled.made)


async def test_a_pool_closes_though_a_connection_does_not_answer(dialled: Dialled) -> None:
    pool = _pool(3)
    await pool.fill()
    dialled.made[0].is_silent = dialled.made[2].is_silent = True
    await pool.close()
    assert [connection.gone for connection in dialled.made] == [True] * 3
    assert (pool.open, pool.idle) == (0, 0)
