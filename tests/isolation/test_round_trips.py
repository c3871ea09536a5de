"""What one request costs PostgreSQL: BEGIN with the binding, the query, COMMIT; no look at catalog or registry."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.credentials import new_secret
from leasehold.main import create_app, running
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.keys import verification
from tests.factories import api_key, bearer, item
from tests.postgres_proxy import Traffic, proxy

pytestmark = pytest.mark.not_pooled("counts round trips, of which old poolers need more")


@asynccontextmanager
async def watched(settings: Settings) -> AsyncGenerator[tuple[httpx.AsyncClient, Traffic]]:
    """Run an application whose traffic with PostgreSQL is counted, over one connection of each kind."""
    url = settings.database_url.get_secret_value()
    parts = urlsplit(url)
    assert parts.hostname is not None
    async with proxy(parts.hostname, parts.port or 5432) as traffic:
        through = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{traffic.port}").geturl()
        app = create_app(settings.model_copy(update={"database_url": SecretStr(through), "pool_size": 1}))
        async with (
            running(app.app.state.process),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://leasehold.test") as client,
        ):
            yield client, traffic


@pytest.mark.parametrize("by_key", [False, True], ids=["token", "key"])
async def test_reading_an_item_takes_three_round_trips_and_asks_nothing_else(
    settings: Settings, process: Process, acme: TenantRef, by_key: bool
) -> None:
    async with watched(settings) as (client, traffic):
        headers = {"Authorization": f"Bearer {(await api_key(process, acme)).key}"}
        headers = headers if by_key else await bearer(process, acme)
        address = f"/v1/items/{(await item(process, acme)).id}"
        for _ in range(2):  # statements are prepared and the credential's status is read once
            assert (await client.get(address, headers=headers)).status_code == 200
        traffic.reset()
        assert (await client.get(address, headers=headers)).status_code == 200
        assert traffic.round_trips == 3
        begin, commit = traffic.statements
        path, role = f'SET LOCAL search_path = "{acme.schema}", pg_temp', f'SET LOCAL ROLE "{acme.role}"'
        assert begin == f"BEGIN READ ONLY; {path}; SET LOCAL statement_timeout = 10000; {role}"
        assert commit == "COMMIT"


async def test_an_unknown_key_costs_one_read_and_a_misspelt_one_nothing(
    settings: Settings, process: Process, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_PEPPERS_AGE_S", 300)  # or a second later the peppers are read once more
    async with watched(settings) as (client, traffic):

        async def cost_of(key: str) -> int:
            traffic.reset()
            assert (await client.get("/v1/items", headers={"Authorization": f"Bearer {key}"})).status_code == 401
            return traffic.round_trips

        for _ in range(2):  # the statement is prepared, and the pepper is read once
            await cost_of(new_secret("key", tenant_id=acme.id))
        assert await cost_of(new_secret("key", tenant_id=acme.id)) == 3
        misspelt = new_secret("key", tenant_id=acme.id)
        assert await cost_of(misspelt[:-1] + ("x" if misspelt[-1] != "x" else "y")) == 0
        assert await cost_of(new_secret("client", tenant_id=acme.id)) == 0


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


async def test_a_change_that_says_what_it_was_decided_on_takes_four_round_trips_and_no_change_of_what_is_known_three(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    async with watched(settings) as (client, traffic):
        headers = await bearer(process, acme)
        address = f"/v1/items/{(await item(process, acme)).id}"

        async def round_trips(method: str, status: int, **more: str) -> tuple[int, str]:
            traffic.reset()
            body = {"title": f"Desk {more}"} if method == "PATCH" else None
            answer = await client.request(method, address, headers=headers | more, json=body)
            assert answer.status_code == status
            return traffic.round_trips, answer.headers["etag"]

        for _ in range(2):  # statements are prepared
            _, tag = await round_trips("PATCH", 200)
            _, tag = await round_trips("PATCH", 200, **{"If-Match": tag})
        assert (await round_trips("GET", 304, **{"If-None-Match": tag}))[0] == 3
        assert (await round_trips("PATCH", 200, **{"If-Match": tag}))[0] == 4
        assert (await round_trips("PATCH", 200))[0] == 5
