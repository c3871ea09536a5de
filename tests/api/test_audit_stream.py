"""An export is sent as it is read; it ends with its reader's right to read, and after a time whatever happens."""

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from litestar.exceptions import LitestarException
from sqlalchemy import insert

from leasehold.core import streaming
from leasehold.core.actor import Actor
from leasehold.core.database import platform_session
from leasehold.http.request_log import RequestLog
from leasehold.process import Process
from leasehold.tenancy.audit.models import TenantAuditEvent
from leasehold.tenancy.audit.row import event_row
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.factories import OPERATOR, bearer, lifecycle

EVENTS = 20_000
BATCH = 1000


@pytest.fixture
async def long(process: Process, acme: TenantRef) -> TenantRef:
    """A tenant with a long log."""
    by = Actor.system("tests")
    async with open_tenant_session(process.database, acme) as session:
        for _ in range(0, EVENTS, BATCH):
            await session.execute(insert(TenantAuditEvent), [event_row(by, "thing.done", None) for _ in range(BATCH)])
    return acme


class Client:
    """Reads an answer as it is sent, and does something before it takes the next piece."""

    def __init__(self, between: Callable[[int], Awaitable[None]]) -> None:
        self._between = between
        self.status = 0
        self.pieces = 0
        self.lines = 0
        self._completed = asyncio.Event()
        self._asked = False
        self.left = asyncio.Event()

    async def get(self, app: RequestLog, path: str, headers: dict[str, str]) -> None:
        named = [(b"host", b"leasehold.test"), *((key.lower().encode(), headers[key].encode()) for key in headers)]
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
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

    async def _receive(self) -> dict[str, Any]:
        if self._asked:
            # It keeps its connection, for its next request, unless it leaves.
            await self.left.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        if message["body"]:
            self.pieces += 1
            self.lines += message["body"].count(b"\n")
            await self._between(self.pieces)
        if not message.get("more_body", False):
            self._completed.set()

    @property
    def is_complete(self) -> bool:
        return self._completed.is_set()


async def test_an_export_holds_one_batch_at_a_time_and_no_connection(
    app: RequestLog, process: Process, long: TenantRef
) -> None:
    peaks: list[int] = []

    async def look(piece: int) -> None:
        assert process.readers.idle == process.readers.open
        if piece == 2:
            tracemalloc.start()
        elif piece > 2:
            peaks.append(tracemalloc.get_traced_memory()[1])

    client = Client(look)
    try:
        await client.get(app, "/v1/audit/export", await bearer(process, long))
    finally:
        tracemalloc.stop()
    assert (client.status, client.is_complete) == (200, True)
    assert client.lines == EVENTS + 2
    assert client.pieces == EVENTS // BATCH + 1
    assert max(peaks) < 5_000_000
    assert peaks[-1] < 1.5 * peaks[2]


async def test_an_export_ends_when_its_tenant_is_suspended(app: RequestLog, process: Process, long: TenantRef) -> None:
    async def suspend(piece: int) -> None:
        if piece == 2:
            async with platform_session(process.database) as session:
                service = lifecycle(session)
                await service.suspend(long.id, by=OPERATOR)
            await process.feed.caught_up()

    client = Client(suspend)
    with pytest.raises(LitestarException, match="after response started"):
        await client.get(app, "/v1/audit/export", await bearer(process, long))
    assert (client.status, client.pieces, client.is_complete) == (200, 2, False)


async def test_an_export_ends_when_who_asked_for_it_is_deleted(
    app: RequestLog, http: httpx.AsyncClient, process: Process, long: TenantRef
) -> None:
    headers = await bearer(process, long)
    me = (await http.get("/v1/me", headers=headers)).json()["subject"]
    other = await bearer(process, long)

    async def delete(piece: int) -> None:
        if piece == 2:
            assert (await http.delete(f"/v1/clients/{me}", headers=other)).status_code == 204
            await process.feed.caught_up()

    client = Client(delete)
    with pytest.raises(LitestarException, match="after response started"):
        await client.get(app, "/v1/audit/export", headers)
    assert (client.status, client.pieces, client.is_complete) == (200, 2, False)


async def test_an_export_that_nobody_reads_is_cut_off(
    app: RequestLog, process: Process, long: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[asyncio.Timeout] = []

    def timeout(delay_s: float) -> asyncio.Timeout:
        assert delay_s == 300
        begun.append(asyncio.timeout(delay_s))
        return begun[-1]

    monkeypatch.setattr(streaming, "asyncio", SimpleNamespace(**{**vars(asyncio), "timeout": timeout}))

    async def stop_reading(piece: int) -> None:
        if piece == 2:
            # Its time is over now, and not before, however long the first pieces took.
            (time,) = begun
            time.reschedule(asyncio.get_running_loop().time())
            await asyncio.sleep(60)

    client = Client(stop_reading)
    async with asyncio.timeout(30):
        with pytest.raises(LitestarException, match="after response started"):
            await client.get(app, "/v1/audit/export", await bearer(process, long))
    assert (client.status, client.pieces, client.is_complete) == (200, 2, False)
    assert process.readers.idle == process.readers.open


async def test_an_export_ends_when_its_reader_leaves(app: RequestLog, process: Process, long: TenantRef) -> None:
    async def leave(piece: int) -> None:
        if piece == 2:
            client.left.set()
            await asyncio.sleep(60)

    client = Client(leave)
    async with asyncio.timeout(30):
        await client.get(app, "/v1/audit/export", await bearer(process, long))
    assert (client.status, client.pieces, client.is_complete) == (200, 2, False)
