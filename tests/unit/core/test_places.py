"""Places in front of a pool: none is lost, whoever is cancelled, and nobody has more than its share."""

import asyncio
import random
from collections import Counter
from uuid import UUID

import pytest

from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.line import TooManyAtOnce
from leasehold.core.places import Places

TENANTS = [UUID(int=number) for number in range(1, 5)]


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_is_lost_and_no_share_is_exceeded_whoever_is_cancelled_and_when(seed: int) -> None:
    chance = random.Random(seed)
    places = Places(3, share=2, timeout_s=30)
    inside: Counter[UUID] = Counter()

    async def visit(tenant: UUID, yields: int) -> None:
        turn = places.enter(tenant)
        if turn is not None:
            await turn
        inside[tenant] += 1
        try:
            assert inside[tenant] <= 2
            assert inside.total() <= 3
            for _ in range(yields):
                await asyncio.sleep(0)
        finally:
            inside[tenant] -= 1
            places.leave(tenant)

    visits = [asyncio.create_task(visit(chance.choice(TENANTS), chance.randrange(4))) for _ in range(60)]
    while not all(task.done() for task in visits):
        await asyncio.sleep(0)
        if chance.random() < 0.5:
            chance.choice(visits).cancel()
    results = await asyncio.gather(*visits, return_exceptions=True)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert places.waiting == 0
    assert [places.enter(tenant) for tenant in TENANTS[:3]] == [None] * 3


async def test_who_waits_in_vain_for_its_own_tenant_is_not_counted_among_those_for_whom_there_was_nothing() -> None:
    places = Places(2, share=1, timeout_s=0.01)
    acme, globex, initech, _ = TENANTS
    for tenant in (acme, globex):
        assert places.enter(tenant) is None
    for tenant, told in ((acme, TooManyAtOnce), (initech, DatabaseUnavailable)):
        turn = places.enter(tenant)
        assert turn is not None
        with pytest.raises(told):
            await turn
    assert places.timeouts == 1
