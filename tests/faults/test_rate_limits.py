"""Two processes of the server count together, and each by itself when they cannot."""

import asyncio
import secrets
import signal
from collections.abc import Generator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer
from tests.faults.serving import served
from tests.valkey import valkey

_LIMITS = {"rate_limit_client": "20/1h", "rate_limit_tenant": "30/1h"}


@pytest.fixture(params=["postgresql", "valkey"])
def limits(request: pytest.FixtureRequest) -> Generator[dict[str, str]]:
    """The settings of servers that count together."""
    with ExitStack() as stack:
        limits = {**_LIMITS, "rate_limit_store": request.param}
        if request.param == "valkey":
            limits["valkey_url"] = stack.enter_context(valkey()).url
        yield limits


async def served_of(address: str, headers: dict[str, str], times: int) -> int:
    """Return how many of so many requests at once were served; the others were refused for their number."""
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
        answers = await asyncio.gather(*(client.get("/v1/me") for _ in range(times)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


async def until_it_counts_with_others(address: str, process: Process, tenant: TenantRef, log: Path) -> None:
    """Let requests of a tenant, one at a time, find out that the store is back."""
    async with asyncio.timeout(60):
        while not _is_told(log, b"quota_store_found"):
            assert await served_of(address, await bearer(process, tenant), 1) == 1
            await asyncio.sleep(0.5)


def _is_told(log: Path, event: bytes) -> bool:
    return event in log.read_bytes()


async def test_two_servers_let_no_more_through_than_one(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef, limits: dict[str, str]
) -> None:
    first, second, other = [await bearer(process, tenant) for tenant in (acme, acme, globex)]
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(served(settings, **limits)) for _ in range(2)]
        got = await asyncio.gather(served_of(one, first, 40), served_of(two, first, 40))
        assert sum(got) == 20
        got = await asyncio.gather(served_of(one, second, 40), served_of(two, second, 40))
        assert sum(got) == 10
        assert await served_of(two, other, 5) == 5


async def test_a_server_whose_valkey_stands_still_or_is_gone_goes_on_by_itself(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef, tmp_path: Path
) -> None:
    """No request waits for it more than its second, and none is refused for it."""
    headers, log = await bearer(process, acme), tmp_path / "log"
    with valkey() as counting, log.open("wb") as output:
        store = {"rate_limit_store": "valkey", "valkey_url": counting.url}
        async with served(settings, output=output, log_level="warning", **_LIMITS, **store) as address:
            assert await served_of(address, headers, 15) == 15
            counting.process.send_signal(signal.SIGSTOP)
            async with asyncio.timeout(20):
                assert await served_of(address, headers, 30) == 20
            counting.process.send_signal(signal.SIGCONT)
            await until_it_counts_with_others(address, process, globex, log)
            # It is back, and knows what was used before, of which it may have taken up to 5 while nobody listened.
            assert 10 <= await served_of(address, await bearer(process, acme), 30) <= 15
            counting.process.kill()
            assert await served_of(address, await bearer(process, acme), 30) == 10


async def test_a_server_that_cannot_count_with_others_goes_on_by_itself(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef, tmp_path: Path
) -> None:
    """Its table is taken away, so that everything else is still there."""
    assert settings.owner_url is not None
    away = f"quotas_{secrets.token_hex(4)}"
    headers, log = await bearer(process, acme), tmp_path / "log"
    async with AsyncExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        address = await stack.enter_async_context(
            served(settings, output=output, log_level="warning", **_LIMITS, rate_limit_store="postgresql")
        )
        assert await served_of(address, headers, 15) == 15
        with psycopg.connect(settings.owner_url.get_secret_value(), autocommit=True) as owner:
            owner.execute(f"ALTER TABLE platform.quotas RENAME TO {away}")
            try:
                assert await served_of(address, headers, 30) == 20
            finally:
                owner.execute(f"ALTER TABLE platform.{away} RENAME TO quotas")
        await until_it_counts_with_others(address, process, globex, log)
        # It is back, and knows what was used before.
        assert await served_of(address, await bearer(process, acme), 30) == 15
