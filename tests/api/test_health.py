"""Probes: whether the process lives, and whether it can serve."""

import httpx

from leasehold.config import Settings
from leasehold.main import create_app
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of


async def test_a_serving_process_lives_and_is_ready_on_every_host(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    for host in ("leasehold.test", f"{acme.slug}.leasehold.test", f"{globex.slug}.leasehold.test", "10.0.0.7:8000"):
        live = await http.get("/health/live", headers={"Host": host})
        assert (live.status_code, live.json()) == (200, {"status": "live"})
        ready = await http.get("/health/ready", headers={"Host": host})
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a_process_whose_directory_was_never_filled_lives_but_is_not_ready(settings: Settings) -> None:
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://leasehold.test") as client:
        assert (await client.get("/health/live")).status_code == 200
        refused = await client.get("/health/ready")
        assert refusal_of(refused) == (503, "directory-stale")
        assert int(refused.headers["retry-after"]) > 0
        assert refusal_of(await client.get("/v1/items")) == (503, "directory-stale")
    app.app.state.process.passwords.close()
