"""A server that is told to stop sends its clients elsewhere, ends what is under way, and leaves nothing behind."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg
import httpx

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer
from tests.faults.backends import backends_of
from tests.faults.balancer import balancing
from tests.faults.clients import connected, head_of
from tests.faults.load import Load
from tests.faults.serving import served
from tests.integration.cli.shell import free_port
from tests.isolation.scenario import TITLES

WITHIN_S = 60


async def test_a_rolling_restart_under_load_loses_no_request(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    ports = [free_port(), free_port()]
    addresses = [f"http://127.0.0.1:{port}" for port in ports]
    headers = await bearer(process, acme)
    async with backends_of(settings) as backends:
        async with AsyncExitStack() as first, AsyncExitStack() as second, balancing(*addresses) as balancer:
            servers = [(first, ports[0]), (second, ports[1])]
            starts = [stack.enter_async_context(_restarted(settings, port)) for stack, port in servers]
            await asyncio.gather(*starts)
            await balancer.until_ready(*addresses)
            load = Load(balancer.address, [headers])
            async with load.flowing():
                await load.more(20)
                for stack, port in servers:
                    await stack.aclose()  # which demands the exit status 0
                    await load.more(10)
                    await stack.enter_async_context(_restarted(settings, port))
                    await balancer.until_ready(*addresses)
                await load.more(20)
        async with asyncio.timeout(WITHIN_S):
            while await backends.count():
                await asyncio.sleep(0.05)
    assert (load.failures, load.refused) == ([], 0)
    async with open_tenant_session(process.database, acme) as session:
        assert sorted(await session.scalars(TITLES)) == load.made_for(0)


async def test_what_takes_longer_than_the_grace_is_cut_off_and_what_was_gathered_is_kept(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    slow = head_of("POST", "/v1/items", headers | {"Content-Type": "application/json", "Content-Length": "16"})
    async with backends_of(settings) as backends, AsyncExitStack() as clients:
        async with served(settings, workers="2", stop_grace_s="1") as address:  # which demands the exit status 0
            (client,) = await clients.enter_async_context(connected(address))
            await client.send(slow + b'{"tit')
            async with httpx.AsyncClient(base_url=address, headers=headers) as quick:
                assert (await quick.post("/v1/items", json={"title": "Desk"})).status_code == 201
        assert not (await client.rest()).startswith(b"HTTP/1.1 201")
        async with asyncio.timeout(WITHIN_S):
            while await backends.count():  # a backend ends a moment after its client
                await asyncio.sleep(0.05)
        connection = await asyncpg.connect(driver_url(settings.direct_url.get_secret_value()))
        used = "SELECT sum(requests) FROM platform.tenant_usage WHERE tenant_id = $1"
        assert await connection.fetchval(used, acme.id) == 2
        await connection.close()


async def test_a_server_that_is_told_to_stop_says_so_and_serves_on_for_a_while(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(served(settings, drain_s="5"))
        async with httpx.AsyncClient(base_url=address, headers=headers) as client, asyncio.TaskGroup() as group:
            before = await client.get("/v1/items")
            group.create_task(stack.aclose())
            async with asyncio.timeout(10):
                while (refused := await client.get("/health/ready")).status_code == 200:
                    await asyncio.sleep(0.02)
            after = await client.post("/v1/items", json={"title": "Desk"})
            live = await client.get("/health/live")
    assert (refused.status_code, refused.json()["type"]) == (503, "/docs/problems/process-stopping")
    assert int(refused.headers["retry-after"]) > 0
    assert (after.status_code, live.status_code) == (201, 200)
    assert ("connection" in before.headers, after.headers["connection"]) == (False, "close")


def _restarted(settings: Settings, port: int):
    return served(settings, port=port, workers="2", drain_s="2")
