"""Tenants take turns: who asks for much does not hold up who asks for little, nor does it get all the places."""

from collections import Counter
from uuid import UUID

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.models import PLATFORM_LANE
from leasehold.tenancy.jobs.queue import ClaimedJob
from tests.integration.tenancy.jobs.chores import Hand, asked, asked_by_the_platform, many_asked

_PLACES, _MOST_OF_ONE = 8, 6


async def _claim(hand: Hand, behind: UUID, *, wanted: int = _PLACES) -> list[ClaimedJob]:
    return await hand.claim(wanted=wanted, most_of_one=_MOST_OF_ONE, behind=behind)


def _lanes(jobs: list[ClaimedJob]) -> Counter[UUID]:
    return Counter(job.lane for job in jobs)


async def test_one_job_is_not_held_up_by_five_thousand_of_another_tenant(
    process: Process, five: list[TenantRef], hand: Hand
) -> None:
    for busy, quiet in ((five[0], five[1]), (five[1], five[0])):
        await hand.connection.execute("DELETE FROM platform.jobs")
        await many_asked(hand.connection, busy, 5000)
        first = await _claim(hand, PLATFORM_LANE)
        assert _lanes(first) == {busy.id: _MOST_OF_ONE}
        await asked(process, quiet)
        second = await _claim(hand, busy.id, wanted=_PLACES - len(first))
        assert _lanes(second) == {quiet.id: 1}


async def test_who_was_served_last_comes_last(five: list[TenantRef], hand: Hand) -> None:
    for tenant in five:
        await many_asked(hand.connection, tenant, 100)
    in_order = sorted(tenant.id for tenant in five)
    behind, served = in_order[2], list[UUID]()
    for _ in range(12):
        (claimed,) = await _claim(hand, behind, wanted=1)
        behind = claimed.lane
        served.append(behind)
        await hand.queue.finish(claimed)
    assert served == (in_order[3:] + in_order * 3)[:12]


async def test_the_platform_takes_its_turn_like_a_tenant(process: Process, five: list[TenantRef], hand: Hand) -> None:
    await many_asked(hand.connection, None, 100)
    for tenant in five[:2]:
        await many_asked(hand.connection, tenant, 100)
    in_order = [PLATFORM_LANE, *sorted(tenant.id for tenant in five[:2])]
    behind, served = in_order[0], list[UUID]()
    for _ in range(6):
        (claimed,) = await _claim(hand, behind, wanted=1)
        behind = claimed.lane
        served.append(behind)
    assert served == (in_order[1:] + in_order * 2)[:6]


async def test_the_platform_does_not_hold_up_a_tenant_nor_a_tenant_the_platform(
    process: Process, five: list[TenantRef], hand: Hand
) -> None:
    await many_asked(hand.connection, None, 5000)
    await asked(process, five[0])
    assert _lanes(await _claim(hand, PLATFORM_LANE))[five[0].id] == 1
    await hand.connection.execute("DELETE FROM platform.jobs")
    await many_asked(hand.connection, five[0], 5000)
    await asked_by_the_platform(process)
    assert _lanes(await _claim(hand, PLATFORM_LANE))[PLATFORM_LANE] == 1


async def test_places_are_divided_among_those_who_wait(five: list[TenantRef], hand: Hand) -> None:
    for tenant in five[:4]:
        await many_asked(hand.connection, tenant, 100)
    assert _lanes(await _claim(hand, PLATFORM_LANE)) == {tenant.id: 2 for tenant in five[:4]}


async def test_nobody_gets_more_places_of_a_worker_than_the_most_whatever_is_free(
    five: list[TenantRef], hand: Hand, other: Hand
) -> None:
    await many_asked(hand.connection, five[0], 100)
    claimed = await _claim(hand, PLATFORM_LANE)
    assert len(claimed) == _MOST_OF_ONE
    assert await _claim(hand, five[0].id, wanted=2) == []
    await hand.queue.finish(claimed[0])
    assert len(await _claim(hand, five[0].id, wanted=3)) == 1
    assert len(await _claim(other, PLATFORM_LANE)) == _MOST_OF_ONE  # each worker has places of its own


async def test_more_tenants_than_places_are_all_served_in_turn(five: list[TenantRef], hand: Hand) -> None:
    for tenant in five:
        await many_asked(hand.connection, tenant, 10)
    first = await _claim(hand, PLATFORM_LANE, wanted=3)
    last = max(job.lane for job in first)
    second = await _claim(hand, last, wanted=2)
    assert _lanes(first) + _lanes(second) == {tenant.id: 1 for tenant in five}
