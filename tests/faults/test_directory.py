"""Two processes of the server obey a suspension within a second, also when they have just lost their directory feed."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url, platform_session
from leasehold.http.process import Process
from leasehold.platform.tenants.service import TenantService
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.feed import APPLICATION_NAME
from tests.factories import bearer

WITHIN_S = 1.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def served(settings: Settings, *, listen: bool) -> AsyncGenerator[str]:
    """Run `leasehold serve` as a process of its own and yield its address."""
    port = free_port()
    values = {name: getattr(settings, name) for name in ("database_url", "direct_url", "owner_url", "installation_key")}
    environment = {f"LEASEHOLD_{name.upper()}": value.get_secret_value() for name, value in values.items()}
    environment |= {
        "LEASEHOLD_PORT": str(port),
        "LEASEHOLD_BASE_DOMAIN": settings.base_domain,
        "LEASEHOLD_ISSUER": settings.issuer,
        "LEASEHOLD_LOG_LEVEL": "error",
        "PATH": os.environ["PATH"],
    }
    if not listen:
        del environment["LEASEHOLD_DIRECT_URL"]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "leasehold", "serve", env=environment)
    try:
        address = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient() as client, asyncio.timeout(20):
            while not await _answers(client, f"{address}/health/ready"):
                await asyncio.sleep(0.05)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False


async def _seconds_until(address: str, headers: dict[str, str], status: int, *, since: float) -> float:
    """Return how long after `since` a process began to answer with a status, and went on to."""
    async with httpx.AsyncClient(base_url=address, headers=headers) as client, asyncio.timeout(10):
        while (await client.get("/v1/me")).status_code != status:
            await asyncio.sleep(0.005)
        seconds = time.monotonic() - since
        for _ in range(5):
            assert (await client.get("/v1/me")).status_code == status
        return seconds


@pytest.mark.parametrize("listen", [True, False], ids=["LISTEN", "polling"])
async def test_two_processes_obey_within_a_second(
    settings: Settings, process: Process, acme: TenantRef, listen: bool
) -> None:
    headers = await bearer(process, acme)
    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(served(settings, listen=listen)) for _ in range(2)]

        async def change(verb: str, status: int) -> None:
            async with platform_session(process.database) as session:
                service = TenantService(session, process.provisioner, base_domain=settings.base_domain)
                await getattr(service, verb)(acme.id)
            committed = time.monotonic()
            seconds = await asyncio.gather(
                *(_seconds_until(address, headers, status, since=committed) for address in addresses)
            )
            assert max(seconds) < WITHIN_S, f"{verb} was obeyed after {seconds} s"

        for address in addresses:
            await _seconds_until(address, headers, 200, since=time.monotonic())
        await change("suspend", 403)
        await change("resume", 200)
        assert await _cut_feeds(settings) >= 3  # those of the two servers and of this process
        await change("suspend", 403)
        await change("resume", 200)
        # The loss and the change at the same moment: the notification goes to nobody.
        async with platform_session(process.database) as session:
            await _cut_feeds(settings)
            service = TenantService(session, process.provisioner, base_domain=settings.base_domain)
            await service.suspend(acme.id)
        committed = time.monotonic()
        for address in addresses:
            assert await _seconds_until(address, headers, 403, since=committed) < WITHIN_S


async def _cut_feeds(settings: Settings) -> int:
    """Kill every connection over which a directory is kept fresh; return how many there were."""
    connection: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
    try:
        return await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = $1 AND datname = current_database()",
            APPLICATION_NAME,
        )
    finally:
        await connection.close()
