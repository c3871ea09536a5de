"""What one tenant does to the others when its statements hang: nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from leasehold.config import Settings
from leasehold.main import create_app, running
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer, item, until
from tests.plans import decided

pytestmark = pytest.mark.not_pooled("holds several transactions at once")

Serve = Callable[..., AbstractAsyncContextManager[tuple[httpx.AsyncClient, Process]]]


@pytest.fixture
def serve(settings: Settings) -> Serve:
    """Start the application with six connections, of which four only read, and lend a client of it."""

    @asynccontextmanager
    async def start(**changes: object) -> AsyncGenerator[tuple[httpx.AsyncClient, Process]]:
        app = create_app(settings.model_copy(update={"pool_size": 6, "tenant_share": 0.5, **changes}))
        process: Process = app.app.state.process
        async with running(process):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://leasehold.test", timeout=30) as http:
                yield http, process

    return start


@asynccontextmanager
async def hanging(owner: Any, *tenants: TenantRef) -> AsyncGenerator[None]:
    """Let every statement on these tenants' items wait until the end of the block."""
    transaction = owner.transaction()
    await transaction.start()
    try:
        for tenant in tenants:
            await owner.execute(f'LOCK TABLE "{tenant.schema}".items IN ACCESS EXCLUSIVE MODE')
        yield
    finally:
        await transaction.rollback()


def told(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    """Return the status, the type of the problem if it is one, and when to come again."""
    kind = answer.json().get("type", "").rpartition("/")[2] if answer.status_code >= 400 else None
    return answer.status_code, kind, answer.headers.get("retry-after")


async def test_a_tenant_whose_statements_hang_keeps_no_other_from_reading_and_writing(
    serve: Serve, process: Process, acme: TenantRef, globex: TenantRef, owner: Any
) -> None:
    noisy, quiet = await bearer(process, acme), await bearer(process, globex)
    address = f"/v1/items/{(await item(process, globex, 'Desk')).id}"
    # Whoever waits is there until all others were answered, and what hangs is not ended for that.
    async with serve(pool_timeout_s=10.0, statement_timeout_ms=0) as (http, server):

        def ask(method: str, headers: dict[str, str], path: str = "/v1/items") -> "asyncio.Task[httpx.Response]":
            body = {"title": "Chair"} if method == "POST" else None
            return asyncio.create_task(http.request(method, path, headers=headers, json=body))

        for headers in (noisy, quiet):  # whose credentials are known then
            assert (await ask("GET", headers)).status_code == 200
        async with hanging(owner, acme):
            flood = [ask(method, noisy) for method in ("GET", "POST") for _ in range(20)]
            places = server.database.places
            assert places is not None
            await until(lambda: (server.readers.waiting, places.waiting) == (18, 19), timeout_s=30)
            answers = [await ask("GET", quiet, address), await ask("POST", quiet), await ask("GET", quiet)]
            assert [answer.status_code for answer in answers] == [200, 201, 200]
            assert answers[0].json()["title"] == "Desk"
            assert (server.readers.waiting, places.waiting) == (18, 19)
            await until(lambda: sum(task.done() for task in flood) == 37, timeout_s=60)
        assert Counter([told(await task) for task in flood]) == {
            (429, "too-many-at-once", "1"): 37,
            (200, None, None): 2,
            (201, None, None): 1,
        }


async def test_a_statement_that_takes_longer_than_the_plan_allows_is_ended(
    serve: Serve, http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, owner: Any
) -> None:
    hurried, patient = await bearer(process, acme), await bearer(process, globex)
    await decided(http, process, acme, limits={"statement_ms": 1000})
    async with serve(statement_timeout_ms=0) as (server, _):
        async with hanging(owner, acme, globex):
            waiting = asyncio.create_task(server.get("/v1/items", headers=patient))
            answers = [
                await server.get("/v1/items", headers=hurried),
                await server.post("/v1/items", headers=hurried, json={"title": "Chair"}),
            ]
            assert [told(answer) for answer in answers] == [(503, "too-slow", "1")] * 2
            assert not waiting.done()
        assert (await waiting).status_code == 200
        assert (await server.get("/v1/items", headers=hurried)).json()["items"] == []


async def test_the_setting_holds_where_no_plan_says_anything(
    serve: Serve, process: Process, acme: TenantRef, owner: Any
) -> None:
    headers = await bearer(process, acme)
    async with serve(statement_timeout_ms=50) as (server, _), hanging(owner, acme):
        assert told(await server.get("/v1/items", headers=headers)) == (503, "too-slow", "1")
