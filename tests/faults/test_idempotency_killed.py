"""A server is killed between its COMMIT and its answer: who sends the request again finds it done, once.

A proxy in front of PostgreSQL holds the server up at its COMMIT, so that the kill comes at that very moment.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import admin, bearer, new_slug
from tests.faults.dying import die_in
from tests.faults.serving import served
from tests.postgres_proxy import Hold

ANSWER_IS_KEPT = "INSERT INTO idempotency_keys"
RECEIPT_IS_WRITTEN = "INSERT INTO platform.provisioning_receipts"
PLATFORM_ANSWER_IS_KEPT = "INSERT INTO platform.idempotency_keys"
_BUSY = 409


async def insist(client: httpx.AsyncClient, path: str, headers: dict[str, str], body: dict[str, Any]) -> httpx.Response:
    """Send a request until it is not in flight any more, as a client would; a dead server's backend may live on."""
    async with asyncio.timeout(60):
        while (answer := await client.post(path, headers=headers, json=body)).status_code == _BUSY:
            assert refusal_of(answer) == (409, "idempotency-key-in-use")
            await asyncio.sleep(float(answer.headers["retry-after"]) / 10)
    return answer


@asynccontextmanager
async def another_server(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    async with served(settings) as address, httpx.AsyncClient(base_url=address, timeout=60) as client:
        yield client


@pytest.mark.parametrize("is_committed", [True, False], ids=["behind the COMMIT", "before the COMMIT"])
async def test_an_item_is_made_once_though_the_server_is_killed_at_its_commit(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef, owner: Any, is_committed: bool
) -> None:
    headers = {**await bearer(process, acme), "Idempotency-Key": str(new_id())}
    body = {"title": "Desk"}
    await die_in(settings, Hold(ANSWER_IS_KEPT, delivers=is_committed), "/v1/items", headers, body)
    items, keys = f'SELECT id FROM "{acme.schema}".items', f'SELECT id FROM "{acme.schema}".idempotency_keys'
    assert len(await owner.fetch(items)) == len(await owner.fetch(keys)) == int(is_committed)
    async with another_server(settings) as client:
        answers = [await insist(client, "/v1/items", headers, body) for _ in range(2)]
        refused = await client.post("/v1/items", headers=headers, json={"title": "Table"})
        foreign = {**await bearer(process, globex), "Idempotency-Key": headers["Idempotency-Key"]}
        theirs = await client.post("/v1/items", headers=foreign, json={"title": "Theirs"})
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert ("idempotent-replayed" in answers[0].headers) is is_committed
    assert [str(row["id"]) for row in await owner.fetch(items)] == [answers[0].json()["id"]]
    assert refusal_of(refused) == (422, "idempotency-key-reused")
    assert theirs.json()["title"] == "Theirs"


@pytest.mark.parametrize(
    ("behind", "delivers", "is_made", "is_replayed"),
    [
        (RECEIPT_IS_WRITTEN, False, False, False),
        (RECEIPT_IS_WRITTEN, True, True, False),
        (PLATFORM_ANSWER_IS_KEPT, False, True, False),
        (PLATFORM_ANSWER_IS_KEPT, True, True, True),
    ],
    ids=["before the owner's", "behind the owner's", "before the request's", "behind the request's"],
)
async def test_a_tenant_is_made_once_though_the_server_is_killed_at_a_commit(
    settings: Settings,
    process: Process,
    owner: Any,
    behind: str,
    delivers: bool,
    is_made: bool,
    is_replayed: bool,
) -> None:
    headers = {**await admin(process), "Idempotency-Key": str(new_id())}
    body = {"slug": new_slug(), "name": "Acme"}
    path = "/platform/v1/tenants"
    await die_in(settings, Hold(behind, delivers=delivers), path, headers, body)
    tenants = "SELECT id FROM platform.tenants WHERE slug = $1"
    before = [str(row["id"]) for row in await owner.fetch(tenants, body["slug"])]
    assert len(before) == int(is_made)
    async with another_server(settings) as client:
        answers = [await insist(client, path, headers, body) for _ in range(2)]
        refused = await client.post(path, headers=headers, json={"slug": new_slug(), "name": "Acme"})
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert ("idempotent-replayed" in answers[0].headers) is is_replayed
    assert answers[1].headers["idempotent-replayed"] == "true"
    after = [str(row["id"]) for row in await owner.fetch(tenants, body["slug"])]
    assert after == [answers[0].json()["id"]]
    assert before in ([], after)
    assert refusal_of(refused) == (422, "idempotency-key-reused")


async def test_without_a_key_the_second_request_does_it_again(
    settings: Settings, process: Process, acme: TenantRef, owner: Any
) -> None:
    """The counterpart: it is the key that keeps the work from being done twice."""
    headers, body = await bearer(process, acme), {"title": "Desk"}
    await die_in(settings, Hold("INSERT INTO items", delivers=True), "/v1/items", headers, body)
    async with another_server(settings) as client:
        assert (await client.post("/v1/items", headers=headers, json=body)).status_code == 201
    assert len(await owner.fetch(f'SELECT id FROM "{acme.schema}".items')) == 2
