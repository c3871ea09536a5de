"""Who sends an import slowly, too much of it, or goes away in the middle holds nothing and has done nothing."""

import asyncio
import errno
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy.pool import QueuePool

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.http import arriving, uploads
from leasehold.http.request_log import RequestLog
from leasehold.main import create_app, running
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.api.test_items_import import NDJSON, count_of
from tests.factories import OPERATOR, bearer, lifecycle, provisioned

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
        self.headers: dict[str, str] = {}

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
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
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
    async with asyncio.timeout(30):
        await sender.post(app, await bearer(process, acme))
    assert (sender.status, sender.problem) == (408, "body-too-slow")
    assert await count_of(process, acme) == 0


@pytest.mark.usefixtures("on_disk")
async def test_who_sends_little_now_and_then_loses_its_place_early(
    settings: Settings, process: Process, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four tenants with two such imports each would keep everybody else from importing for five minutes."""
    headers = await bearer(process, acme)

    async def dawdle(_sent: int) -> None:
        await asyncio.sleep(0.05)

    async with hurried(settings.model_copy(update={"client_timeout_s": 3.0})) as app:
        with monkeypatch.context() as patch:
            patch.setattr(arriving, "LEAST_BYTES_PER_S", 300 * len(PART))
            slow = [Sender(10_000, dawdle) for _ in range(2)]
            async with asyncio.timeout(60):
                await asyncio.gather(*(sender.post(app, headers) for sender in slow))
        assert [(sender.status, sender.problem) for sender in slow] == [(408, "body-too-slow")] * 2
        whole = Sender(3, nothing)
        await whole.post(app, headers)
        assert whole.status == 200
    assert await count_of(process, acme) == 150


@pytest.mark.parametrize(("size", "seconds"), [(0, 30), (256 * 1024, 46), (1024 * 1024, 94), (64 * 1024 * 1024, 300)])
def test_a_body_earns_its_time_up_to_all_that_it_may_take(size: int, seconds: float) -> None:
    assert arriving.seconds_for(size, whole_s=300, part_s=30) == seconds


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


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets no import be so short that it stays in memory."""
    monkeypatch.setattr(uploads, "_IN_MEMORY_BYTES", len(PART))


@asynccontextmanager
async def hurried(settings: Settings) -> AsyncGenerator[RequestLog]:
    """An application in which nobody waits for long."""
    app = create_app(settings.model_copy(update={"pool_timeout_s": 0.2}))
    async with running(app.app.state.process):
        yield app


class Halted:
    """Imports that have sent all but their last part, until they are told to go on."""

    def __init__(self, app: RequestLog) -> None:
        self._app = app
        self._begun: list[tuple[Sender, asyncio.Event, asyncio.Task[None]]] = []

    async def begin(self, headers: dict[str, str], *, count: int) -> None:
        """Begin so many imports, and wait until they halt."""
        for _ in range(count):
            halted, go_on = asyncio.Event(), asyncio.Event()

            async def halt(sent: int, halted: asyncio.Event = halted, go_on: asyncio.Event = go_on) -> None:
                if sent == 2:
                    halted.set()
                    await go_on.wait()

            sender = Sender(3, halt)
            self._begun.append((sender, go_on, asyncio.create_task(sender.post(self._app, headers))))
            async with asyncio.timeout(30):
                await halted.wait()

    async def end(self) -> list[int]:
        """Let one after another go on, and return how they were answered."""
        for _, go_on, task in self._begun:
            go_on.set()
            await task
        return [sender.status for sender, _, _ in self._begun]


async def nothing(_sent: int) -> None: ...


@pytest.mark.usefixtures("on_disk")
async def test_a_tenant_keeps_two_imports_on_disk_at_once_and_takes_no_room_from_others(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    async with hurried(settings) as app:
        halted = Halted(app)
        await halted.begin(ours, count=2)
        third, other, again = (Sender(3, nothing) for _ in range(3))
        await asyncio.gather(third.post(app, ours), other.post(app, theirs))
        assert (third.status, third.problem) == (429, "too-many-at-once")
        assert (other.status, other.answer) == (200, b'{"imported":150}')
        assert await halted.end() == [200, 200]
        await again.post(app, ours)
        assert again.status == 200
    assert await count_of(process, acme) == 450


@pytest.mark.usefixtures("on_disk")
async def test_a_process_keeps_eight_imports_on_disk_at_once(settings: Settings, process: Process) -> None:
    tenants = [await bearer(process, await provisioned(process)) for _ in range(5)]
    async with hurried(settings) as app:
        halted = Halted(app)
        for headers in tenants[:4]:
            await halted.begin(headers, count=2)
        ninth, again = Sender(3, nothing), Sender(3, nothing)
        await ninth.post(app, tenants[4])
        assert (ninth.status, ninth.problem) == (503, "database-unavailable")
        assert await halted.end() == [200] * 8
        await again.post(app, tenants[4])
        assert again.status == 200


async def test_what_stays_in_memory_waits_for_no_other(app: RequestLog, process: Process, acme: TenantRef) -> None:
    halted = Halted(app)
    await halted.begin(await bearer(process, acme), count=10)
    assert await halted.end() == [200] * 10


@pytest.mark.usefixtures("on_disk")
async def test_who_goes_away_in_the_middle_gives_its_place_back(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    async with hurried(settings) as app:
        for _ in range(3):
            sender = Sender(3, nothing, leaves=True)
            await sender.post(app, headers)
            assert (sender.status, sender.problem) == (400, "body-cut-off")
        whole = Sender(3, nothing)
        await whole.post(app, headers)
        assert whole.status == 200


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("parts", [3, 200])
async def test_where_no_room_is_left_for_it_nothing_is_done_and_the_client_is_to_come_back(
    app: RequestLog, process: Process, acme: TenantRef, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await bearer(process, acme)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", lambda *_, **__: Path("/dev/full").open("w+b"))  # noqa: SIM115
        for _ in range(3):
            sender = Sender(parts, nothing)
            await sender.post(app, headers)
            assert (sender.status, sender.problem) == (503, "database-unavailable")
            assert sender.headers["retry-after"] == "1"
    assert await count_of(process, acme) == 0
    sender = Sender(parts, nothing)
    await sender.post(app, headers)
    assert sender.status == 200


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize(("code", "status"), [(errno.EDQUOT, 503), (errno.EIO, 500)])
async def test_no_other_fault_of_a_disk_is_taken_for_want_of_room(
    app: RequestLog, process: Process, acme: TenantRef, monkeypatch: pytest.MonkeyPatch, code: int, status: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, "")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    sender = Sender(3, nothing)
    await sender.post(app, await bearer(process, acme))
    assert sender.status == status
