"""A process that is killed loses what it had not flushed, and nothing else; one that is told to end loses nothing."""

import asyncio
import os
import random
import sys
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer
from tests.faults.serving import doomed, served
from tests.integration.cli.shell import PROJECT
from tests.postgres_proxy import Strike, proxy

_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")
_REQUESTS = """
SELECT tenant_id::text, sum(requests)::int FROM platform.tenant_usage WHERE tenant_id = ANY($1::uuid[]) GROUP BY 1
"""


async def requests_of(settings: Settings, *tenants: str) -> dict[str, int]:
    connection: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
    try:
        return dict(map(tuple, await connection.fetch(_REQUESTS, list(tenants))))
    finally:
        await connection.close()


async def _flushes_until_killed(settings: Settings, tenants: list[str], *, after: int, pause_s: float) -> int:
    """Let a process count and flush, kill it in the middle, and return how many flushes it knows to be written."""
    environment = {f"LEASEHOLD_{name.upper()}": getattr(settings, name).get_secret_value() for name in _SECRETS}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.faults.usage_counter", *tenants),
        env={**environment, "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(after):
        assert await process.stdout.readline()
    await asyncio.sleep(pause_s)
    process.kill()
    rest = (await process.stdout.read()).split()
    await process.wait()
    return after + len(rest)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_two_processes_that_are_killed_lose_at_most_the_flush_that_each_was_in(
    settings: Settings, process: Process, seed: int
) -> None:
    dice = random.Random(seed)
    # Of this test alone, for the server of a killed process may still be at its last statement when it ends.
    tenants = [str(new_id()) for _ in range(20)]
    moments = [(dice.randint(5, 40), dice.uniform(0, 0.01)) for _ in range(2)]
    known = await asyncio.gather(
        *(_flushes_until_killed(settings, tenants, after=after, pause_s=pause_s) for after, pause_s in moments)
    )
    counted = await requests_of(settings, *tenants)
    found = {counted[tenant] for tenant in tenants}
    assert len(found) == 1, "a batch was written in part"
    assert sum(known) <= found.pop() <= sum(known) + 2


async def test_a_server_that_is_killed_loses_what_it_counted_since_its_last_flush_and_counts_nothing_twice(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    ours, parts = await bearer(process, acme), urlsplit(settings.database_url.get_secret_value())

    async def requests() -> int:
        return (await requests_of(settings, str(acme.id))).get(str(acme.id), 0)

    async def end(backend: int) -> None:
        assert await owner.fetchval("SELECT pg_terminate_backend($1, 30000)", backend)

    async with proxy(parts.hostname or "", parts.port or 5432) as traffic, AsyncExitStack() as stack:
        url = settings.database_url.get_secret_value()
        owner: Any = await asyncpg.connect(driver_url(url))
        stack.push_async_callback(owner.close)
        through = url.replace(f":{parts.port}/", f":{traffic.port}/")
        address, kill = await stack.enter_async_context(doomed(settings, database_url=through, flush_s="0.5"))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=address, headers=ours, timeout=30))

        async def ask(times: int) -> None:
            for _ in range(times):
                answer = await client.get("/v1/items", headers={"Host": settings.base_domain})
                assert answer.status_code == 200

        # The first flush is written, and its connection ends before the server hears of it; then it is tried again.
        traffic.strike = struck = Strike(0, delivers=True, act=end, behind="usage_meters")
        await ask(30)
        async with asyncio.timeout(60):
            await struck.is_done.wait()
            await ask(3)
            while await requests() < 33:
                await asyncio.sleep(0.02)
        assert await requests() == 33
        await ask(4)
        kill()
    assert 33 <= await requests() <= 37


async def test_two_servers_that_are_told_to_end_have_counted_every_request(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    headers = {"Host": settings.base_domain}
    few = httpx.Limits(max_connections=8)  # so that nobody waits in vain for a connection to the database
    async with (
        served(settings, flush_s="3600") as one,
        served(settings, flush_s="3600") as two,
        httpx.AsyncClient(headers=headers, timeout=60, limits=few) as client,
    ):

        async def ask(number: int) -> int:
            own = ours if number % 4 else theirs
            return (await client.get(f"{(one, two)[number % 2]}/v1/items", headers=own)).status_code

        assert set(await asyncio.gather(*map(ask, range(80)))) == {200}
        assert await requests_of(settings, str(acme.id), str(globex.id)) == {}
    assert await requests_of(settings, str(acme.id), str(globex.id)) == {str(acme.id): 60, str(globex.id): 20}
