"""Two processes of the server obey a rename and a domain at once, also when they have just lost their feed."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.platform.tenants.schemas import TenantPatch
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import OPERATOR, bearer, new_slug
from tests.faults.serving import served
from tests.faults.test_directory import WITHIN_S, cut_feeds

Expected = Callable[[httpx.Response], bool]


async def seconds_until(address: str, headers: dict[str, str], expected: Expected, *, since: float) -> float:
    """Return how long after `since` a process began to answer as expected, and went on to."""
    async with httpx.AsyncClient(base_url=address, headers=headers) as client, asyncio.timeout(60):
        while not expected(await client.get("/v1/me?x=%2F")):
            await asyncio.sleep(0.005)
        seconds = time.monotonic() - since
        for _ in range(5):
            assert expected(await client.get("/v1/me?x=%2F"))
        return seconds


def answers(status: int, location: str | None = None) -> Expected:
    return lambda answer: (answer.status_code, answer.headers.get("location")) == (status, location)


@pytest.mark.parametrize("listen", [True, False], ids=["LISTEN", "polling"])
async def test_two_processes_know_the_names_of_a_tenant(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef, listen: bool
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    hostname, new = f"app.{acme.slug}.example", new_slug()
    async with AsyncExitStack() as stack:
        trusting = {"trusted_proxies": "127.0.0.0/8"}
        addresses = [
            await stack.enter_async_context(served(settings, listen=listen, log_level="warning", **trusting))
            for _ in range(2)
        ]

        def service_on(session: object) -> TenantService:
            return TenantService(
                session,  # type: ignore[arg-type]
                process.provisioner,
                base_domain=settings.base_domain,
                vacancies=0,
                former_slug_seconds=60,
            )

        async def obeyed(host: str, headers: dict[str, str], expected: Expected) -> None:
            committed = time.monotonic()
            seconds = await asyncio.gather(
                *(seconds_until(one, {**headers, "Host": host}, expected, since=committed) for one in addresses)
            )
            assert max(seconds) < WITHIN_S, f"{host} was known after {seconds} s"

        async with platform_session(process.database) as session:
            await service_on(session).add_domain(acme.id, hostname, by=OPERATOR)
        await obeyed(hostname, ours, answers(200))
        await obeyed(hostname, theirs, answers(403))
        async with platform_session(process.database) as session:
            await service_on(session).change(acme.id, TenantPatch(slug=new), by=OPERATOR)
        former, present = f"{acme.slug}.leasehold.test:8443", f"{new}.leasehold.test:8443"
        await obeyed(former, ours, answers(308, f"https://{present}/v1/me?x=%2F"))
        await obeyed(former, {"X-Forwarded-Proto": "http"}, answers(308, f"http://{present}/v1/me?x=%2F"))
        await obeyed(present, ours, answers(200))
        # The loss and the changes at the same moment: the notification goes to nobody.
        async with platform_session(process.database) as session:
            await cut_feeds(settings)
            await service_on(session).remove_domain(acme.id, hostname, by=OPERATOR)
            await service_on(session).change(acme.id, TenantPatch(slug=acme.slug), by=OPERATOR)
        await obeyed(hostname, ours, answers(404))
        await obeyed(present, ours, answers(308, f"https://{former}/v1/me?x=%2F"))
        await obeyed(former, ours, answers(200))
