"""What one request costs PostgreSQL: BEGIN with the binding, the query, COMMIT; no look at catalog or registry."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.main import create_app, running
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer, item
from tests.postgres_proxy import Traffic, proxy


@asynccontextmanager
async def watched(settings: Settings) -> AsyncGenerator[tuple[httpx.AsyncClient, Traffic]]:
    """Run the application behind a proxy that counts."""
    parts = urlsplit(settings.database_url.get_secret_value())
    assert parts.hostname is not None
    async with proxy(parts.hostname, parts.port or 5432) as traffic:
        through = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{traffic.port}").geturl()
        app = create_app(settings.model_copy(update={"database_url": SecretStr(through), "pool_size": 1}))
        async with (
            running(app.app.state.process),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://leasehold.test") as client,
        ):
            yield client, traffic


async def test_reading_an_item_takes_three_round_trips_and_asks_nothing_else(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    async with watched(settings) as (client, traffic):
        headers = await bearer(process, acme)
        address = f"/v1/items/{(await item(process, acme)).id}"
        for _ in range(2):  # statements are prepared and the subject's status is read once
            assert (await client.get(address, headers=headers)).status_code == 200
        traffic.reset()
        assert (await client.get(address, headers=headers)).status_code == 200
        assert traffic.round_trips == 3
        begin, commit = traffic.statements
        path, role = f'SET LOCAL search_path = "{acme.schema}", pg_temp', f'SET LOCAL ROLE "{acme.role}"'
        assert begin == f"BEGIN READ ONLY; {path}; {role}"
        assert commit == "COMMIT"


async def test_making_an_item_takes_three_round_trips_and_a_key_three_more(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    async with watched(settings) as (client, traffic):
        headers = await bearer(process, acme)

        async def round_trips(**key: str) -> int:
            traffic.reset()
            answer = await client.post("/v1/items", headers=headers | key, json={"title": "Desk"})
            assert answer.status_code == 201
            return traffic.round_trips

        for key in ({}, {"Idempotency-Key": "first"}, {"Idempotency-Key": "first"}):  # statements are prepared
            await round_trips(**key)
        assert await round_trips() == 3
        assert await round_trips(**{"Idempotency-Key": "second"}) == 6
        assert await round_trips(**{"Idempotency-Key": "second"}) == 4
