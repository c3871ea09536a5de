"""Who sends an import slowly, too much of it, or goes away in the middle holds nothing and has done nothing."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy.pool import QueuePool

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.http import uploads
from leasehold.http.request_log import RequestLog
from leasehold.main import create_app, running
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.api.test_items_import import NDJSON, count_of
from tests.factories import OPERATOR, bearer, lifecycle

PART = b'{"title": "Desk"}\n' * 50


def connections_of(process: Process) -> int:
    """Return how many connections requests hold."""
    pool = process.database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout() + process.readers.open - process.readers.idle


class Sender:
    """Sends an import part by part, and does something before each; after the last it goes away or ends."""

    def __init__(self, parts: int, before: Callable[[int], Awaitable[None]], *, leaves: bool = False) -> None:
        self._parts = parts
        self._before = before
        self._leaves = leaves
        self._sent = 0
        self.answer = b""
        self.status = 0

    async def post(self, app: RequestLog, headers: dict[str, str]) -> None:
        named = [(b"host", b"leasehold.test"), (b"transfer-encoding", b"chunked")]
        named += [(key.lower().encode(), value.encode()) for key, value in (headers | NDJSON).items()]
        path = "/v1/items/import"
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "https",
            "http_version": "1.1",
            "headers": named,
            "client": ("127.0.0.1", 1),
            "server": ("leasehold.test", 443),
        }
        await app(scope, self._receive, self._send)  # type: ignore[arg-type]

    @property
    def problem(self) -> str:
        return msgspec.json.decode(self.answer)["type"].rpartition("/")[2]

    async def _receive(self) -> dict[str, Any]:
        if self._sent == self._parts:
            return {"type": "http.disconnect"}
        await self._before(self._sent)
        self._sent += 1
        return {"type": "http.request", "body": PART, "more_body": self._leaves or self._sent < self._parts}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.answer += message["body"]


async def test_while_a_client_sends_it_holds_no_connection(app: RequestLog, process: Process, acme: TenantRef) -> None:
    held: list[int] = []

    async def look(_sent: int) -> None:
        held.append(connections_of(process))

    sender = Sender(30, look)
    await sender.post(app, await bearer(process, acme))
    assert (sender.status, sender.answer) == (200, b'{"imported":1500}')
    assert held == [0] * 30
    assert await count_of(process, acme) == 1500


async def test_who_goes_away_in_the_middle_has_done_nothing(app: RequestLog, process: Process, acme: TenantRef) -> None:
    async def nothing(_sent: int) -> None: ...

    sender = Sender(30, nothing, leaves=True)
    await sender.post(app, await bearer(process, acme))
    assert (sender.status, sender.problem) == (400, "body-cut-off")
    assert connections_of(process) == 0
    assert await count_of(process, acme) == 0


async def test_who_does_not_come_to_an_end_is_cut_off(
    app: RequestLog, process: Process, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "TIMEOUT_S", 0.3)

    async def stop(sent: int) -> None:
        if sent == 2:
            await asyncio.sleep(60)

    sender = Sender(30, stop)
    async with asyncio.timeout(10):
        await sender.post(app, await bearer(process, acme))
    assert (sender.status, sender.problem) == (408, "body-too-slow")
    assert await count_of(process, acme) == 0


async def test_a_tenant_that_is_suspended_meanwhile_gets_nothing(
    app: RequestLog, process: Process, acme: TenantRef
) -> None:
    async def suspend(sent: int) -> None:
        if sent == 2:
            async with platform_session(process.database) as session:
                service = lifecycle(session)
                await service.suspend(acme.id, by=OPERATOR)
            await process.feed.caught_up()

    sender = Sender(5, suspend)
    await sender.post(app, await bearer(process, acme))
    assert (sender.status, sender.problem) == (403, "tenant-suspended")
    assert await count_of(process, acme) == 0


async def test_who_is_deleted_meanwhile_imports_nothing(
    app: RequestLog, http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, other = await bearer(process, acme), await bearer(process, acme)
    me = (await http.get("/v1/me", headers=headers)).json()["subject"]

    async def delete(sent: int) -> None:
        if sent == 2:
            assert (await http.delete(f"/v1/clients/{me}", headers=other)).status_code == 204
            await process.feed.caught_up()

    sender = Sender(5, delete)
    await sender.post(app, headers)
    assert (sender.status, sender.problem) == (401, "invalid-token")
    assert await count_of(process, acme) == 0


@pytest.mark.parametrize("says_its_length", [True, False])
async def test_a_body_that_is_too_large_is_refused_before_all_of_it_is_read(
    settings: Settings, process: Process, acme: TenantRef, says_its_length: bool
) -> None:
    taken = 0

    async def parts() -> AsyncGenerator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield PART

    headers = await bearer(process, acme) | NDJSON | ({"Content-Length": "90000"} if says_its_length else {})
    app = create_app(settings.model_copy(update={"max_import_bytes": 2048}))
    async with (
        running(app.app.state.process),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://leasehold.test") as client,
    ):
        refused = await client.post("/v1/items/import", headers=headers, content=parts())
    assert refusal_of(refused) == (413, "body-too-large")
    assert taken == (0 if says_its_length else 3)
    assert await count_of(process, acme) == 0
