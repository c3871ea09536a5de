"""What Prometheus is told of a server of two processes: each request once, by route, and not by what clients say."""

import asyncio
import os
import signal
from typing import Any

import httpx

from leasehold.config import Settings
from leasehold.main import create_app
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer, item, provisioned
from tests.integration.observe.scraping import Figures, Observed, scraped

_ITEM = "/v1/items/{item_id}"


async def _ask(address: str, *paths: str, headers: dict[str, str] | None = None, method: str = "GET") -> list[int]:
    """Send each request on a connection of its own, so that both processes get some."""

    async def one(path: str) -> int:
        async with httpx.AsyncClient(base_url=address) as client:
            return (await client.request(method, path, headers=headers)).status_code

    return await asyncio.gather(*map(one, paths))


def _answered(figures: Figures, method: str, route: str, status: str) -> float:
    return figures.one("leasehold_http_requests_total", method=method, route=route, status=status)


async def _known_to_all(process: Process, server: Observed) -> tuple[TenantRef, TenantRef]:
    """Make two tenants, and wait until all processes of a server know them."""

    async def known() -> float:
        return (await scraped(server.port)).one("leasehold_directory_tenants")

    before = await known()
    made = await provisioned(process), await provisioned(process)
    async with asyncio.timeout(30):
        while await known() < before + 2:
            await asyncio.sleep(0.02)
    return made


async def test_every_request_counts_once_over_all_processes(process: Process, server: Observed) -> None:
    address, port = server.address, server.port
    acme, globex = await _known_to_all(process, server)
    made, busy = await item(process, acme), await bearer(process, acme)
    quiet = await bearer(process, globex)
    before = (await scraped(port)).one("leasehold_tenant_requests_total", tenant="other", slug="other")
    assert set(await _ask(address, *[f"/v1/items/{made.id}"] * 40, headers=busy)) == {200}
    assert set(await _ask(address, f"/v1/items/{made.id}", headers=quiet)) == {404}
    assert set(await _ask(address, *(f"/made-up/{number}" for number in range(5)), headers=busy)) == {404}
    assert set(await _ask(address, f"/v1/items/{made.id}", method="MADEUP")) == {405}
    assert set(await _ask(address, "/v1/items", method="GET")) == {401}
    for number, host in enumerate(("made-up", "made-up.leasehold.test", f"{'made-up' * 30}:1", acme.id)):
        said = {"Host": str(host), "X-Tenant": f"made-up-{number}", "Authorization": "Bearer made-up"}
        assert set(await _ask(address, "/v1/me", headers=said)) <= {400, 401, 403, 404, 421}
    figures = await scraped(port)
    assert _answered(figures, "GET", _ITEM, "2xx") == 40
    assert _answered(figures, "GET", _ITEM, "4xx") == 1
    assert figures.one("leasehold_http_request_seconds_count", method="GET", route=_ITEM) == 41
    assert figures.one("leasehold_http_request_seconds_bucket", method="GET", route=_ITEM, le="+Inf") == 41
    assert _answered(figures, "GET", "unmatched", "4xx") == 5
    assert _answered(figures, "other", "unmatched", "4xx") == 1
    assert _answered(figures, "GET", "/v1/items", "4xx") == 1
    assert figures.one("leasehold_http_requests_in_flight") == 0
    assert figures.one("leasehold_processes") == figures.one("leasehold_processes_wanted") == 2
    assert figures.labels("leasehold_http_requests_total", "method") == {"GET", "other"}
    assert not any("made-up" in label for _, labels in figures.series for _, label in labels)

    # Who asks most has a series of its own from the next look on, and all others are one, whoever they are.
    await _ask(address, *[f"/v1/items/{made.id}"] * 3, headers=busy)
    await _ask(address, f"/v1/items/{made.id}", headers=quiet)
    later = await scraped(port)
    tenants = [("leasehold_tenant_requests_total", {"tenant": str(acme.id), "slug": acme.slug})]
    assert [later.one(name, **labels) for name, labels in tenants] == [3]
    assert later.labels("leasehold_tenant_requests_total", "slug") == {acme.slug, "other"}
    assert later.one("leasehold_tenant_requests_total", tenant="other", slug="other") == before + 42


async def test_it_is_seen_when_a_process_hangs_and_when_it_answers_again(acme: TenantRef, server: Observed) -> None:
    port, folder = server.port, server.folder
    assert (await scraped(port)).one("leasehold_processes") == 2
    hanging = int(min(path.stem for path in folder.iterdir()))
    os.kill(hanging, signal.SIGSTOP)
    try:
        figures = await scraped(port)
    finally:
        os.kill(hanging, signal.SIGCONT)
    assert figures.one("leasehold_processes") == 1
    assert figures.one("leasehold_processes_wanted") == 2
    assert figures.one("leasehold_directory_tenants") >= 1
    assert "leasehold_jobs" in figures.names


def test_without_a_port_nothing_is_counted(settings: Settings) -> None:
    counted = {port: len(_process_of(settings, metrics_port=port).sources) for port in (0, 8002)}
    assert counted == {0: 0, 8002: 1}


def _process_of(settings: Settings, **changes: Any) -> Process:
    return create_app(settings.model_copy(update=changes)).app.state.process
