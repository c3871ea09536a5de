"""Other processes obey a changed plan at once, and a process that is killed takes no room with it."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.test_items_import import NDJSON, count_of, lines_of
from tests.factories import bearer
from tests.faults.serving import doomed, served
from tests.faults.test_directory import WITHIN_S
from tests.plans import changed, decided, plan_of

DESK = {"title": "Desk"}


async def seconds_until(address: str, headers: dict[str, str], status: int, *, since: float) -> float:
    """Return how long after `since` a process began to answer an import with a status, and went on to."""

    async with httpx.AsyncClient(base_url=address, headers=headers | NDJSON) as client, asyncio.timeout(60):

        async def answered() -> int:
            return (await client.post("/v1/items/import", content=lines_of(DESK))).status_code

        while await answered() != status:
            await asyncio.sleep(0.005)
        seconds = time.monotonic() - since
        for _ in range(3):
            assert await answered() == status
        return seconds


@pytest.mark.parametrize("listen", [True, False], ids=["LISTEN", "polling"])
async def test_a_changed_plan_is_obeyed_by_other_processes(
    http: httpx.AsyncClient, settings: Settings, process: Process, acme: TenantRef, globex: TenantRef, listen: bool
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    plan = await plan_of(http, process, acme)
    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(served(settings, listen=listen)) for _ in range(2)]
        for address in addresses:
            await seconds_until(address, ours, 200, since=time.monotonic())
        for is_on, status in ((False, 403), (True, 200)):
            await changed(http, process, plan, features={"bulk_import": is_on})
            since = time.monotonic()
            seconds = await asyncio.gather(*(seconds_until(one, ours, status, since=since) for one in addresses))
            assert max(seconds) < WITHIN_S
            await asyncio.gather(*(seconds_until(one, theirs, 200, since=since) for one in addresses))


async def test_two_processes_at_once_make_exactly_as_many_as_there_may_be(
    http: httpx.AsyncClient, settings: Settings, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    await decided(http, process, acme, limits={"items": 25})
    async with (
        served(settings, pool_timeout_s="60") as one,
        served(settings, pool_timeout_s="60") as other,
        httpx.AsyncClient(headers=headers, timeout=60) as client,
    ):
        answers = await asyncio.gather(
            *(client.post(f"{address}/v1/items", json=DESK) for _ in range(20) for address in (one, other))
        )
    assert sorted(answer.status_code for answer in answers) == [201] * 25 + [403] * 15
    assert await count_of(process, acme) == 25


async def test_a_process_that_is_killed_takes_no_room_with_it(
    http: httpx.AsyncClient, settings: Settings, process: Process, acme: TenantRef, owner: Any
) -> None:
    headers = await bearer(process, acme)
    await decided(http, process, acme, limits={"items": 60})
    async with doomed(settings) as (address, kill), httpx.AsyncClient(headers=headers, timeout=60) as client:
        making = [asyncio.create_task(client.post(f"{address}/v1/items", json=DESK)) for _ in range(40)]
        await asyncio.wait(making, return_when=asyncio.FIRST_COMPLETED)
        kill()
        await asyncio.wait(making)
    async with owner.transaction():
        # The backends of the dead may still be at a COMMIT; the lock is had when the last of them is done.
        await owner.execute(f'LOCK TABLE "{acme.schema}".items IN SHARE MODE')
        made = await count_of(process, acme)
    answers = await asyncio.gather(*(http.post("/v1/items", headers=headers, json=DESK) for _ in range(60)))
    assert sum(answer.status_code == 201 for answer in answers) == 60 - made
    assert await count_of(process, acme) == 60
