"""The id and the log line of a request."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
import structlog
from litestar import Litestar
from structlog.testing import LogCapture, ReturnLogger

from leasehold.core.usage import UsageMeter
from leasehold.http import request_log
from leasehold.http.headers import AnswerHeaders
from leasehold.http.request_log import RequestLog, request_id_of
from leasehold.tenancy.context import TenantRef, TenantState

Lines = list[Any]


class App:
    """Stands for the application: answers with one status, or raises."""

    def __init__(self, status: int | None) -> None:
        self._status = status
        self.request_id = ""

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.request_id = request_id_of(scope)
        if self._status is None:
            raise OSError("the cable is cut")
        await send({"type": "http.response.start", "status": self._status, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What is logged, however logging is configured in this process."""
    capture = LogCapture()
    logger = structlog.wrap_logger(ReturnLogger(), processors=[capture], wrapper_class=structlog.BoundLogger)
    monkeypatch.setattr(request_log, "_log", logger)
    return capture.entries


def _log_around(app: Any, usage: UsageMeter | None = None) -> RequestLog:
    headers = AnswerHeaders(docs_script="", hsts_seconds=0)
    return RequestLog(cast("Litestar", app), usage or UsageMeter(), headers=headers, serve=app)


async def _request(app: App, *headers: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    """Send one request and return the headers of its answer."""
    answered: dict[bytes, bytes] = {}

    async def send(message: Any) -> None:
        answered.update(message.get("headers", []))

    scope = {"type": "http", "method": "GET", "path": "/v1/items", "query_string": b"a=b", "headers": list(headers)}
    await _log_around(app)(cast("Any", scope), cast("Any", None), send)
    return answered


async def test_a_request_without_an_id_gets_one_in_its_answer_and_its_log_line(lines: Lines) -> None:
    app = App(200)
    headers = await _request(app)
    request_id = headers[b"request-id"].decode()
    assert UUID(request_id).version == 7
    assert app.request_id == lines[0]["request_id"] == request_id
    assert headers[b"a"] == b"b"


@pytest.mark.parametrize("given", [b"abcdefgh", b"01a2-03b4_05.x", b"a" * 128])
async def test_an_id_that_is_harmless_is_kept(lines: Lines, given: bytes) -> None:
    headers = await _request(App(200), (b"request-id", given))
    assert headers[b"request-id"] == given
    assert lines[0]["request_id"] == given.decode()


@pytest.mark.parametrize(
    "given", [b"", b"short", b"a" * 129, b"abcdefgh\n", b"abc defgh", b"abcdefgh\x00", b"<script>x", b"\xff" * 10]
)
async def test_an_id_that_might_do_harm_in_a_log_is_replaced(lines: Lines, given: bytes) -> None:
    headers = await _request(App(200), (b"request-id", given))
    assert UUID(headers[b"request-id"].decode()).version == 7
    assert lines[0]["request_id"] == headers[b"request-id"].decode()


async def test_a_log_line_says_what_was_asked_and_answered_and_shows_no_secret(lines: Lines) -> None:
    await _request(App(404), (b"authorization", b"Bearer secret"), (b"cookie", b"secret"))
    (line,) = lines
    assert (line["event"], line["method"], line["path"]) == ("request_answered", "GET", "/v1/items")
    assert (line["status"], line["tenant"], line["subject"]) == (404, None, None)
    assert line["ms"] >= 0
    assert "secret" not in str(line)
    assert "a=b" not in str(line)


async def test_a_request_that_breaks_is_logged_as_an_error_of_ours(lines: Lines) -> None:
    with pytest.raises(OSError, match="the cable is cut"):
        await _request(App(None))
    assert [line["status"] for line in lines] == [500]


async def test_what_is_not_http_passes_by(lines: Lines) -> None:
    passed: list[str] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        passed.append(scope["type"])

    log = _log_around(app)
    await log(cast("Any", {"type": "lifespan"}), cast("Any", None), cast("Any", None))
    assert (passed, lines) == (["lifespan"], [])


def _tenant(number: int) -> TenantRef:
    return TenantRef(UUID(int=number), "acme", f"t_{number}", f"lh_t_{number}", TenantState.ACTIVE, "0001")


async def _counted(*messages: Any, body: tuple[bytes, ...] = (), tenant: TenantRef | None) -> list[Any]:
    """Serve a request for a tenant by these messages, and return what was counted in the hour."""
    incoming = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    waiting = iter([*incoming, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(waiting)

    async def send(_message: Any) -> None: ...

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {"tenant": tenant} if tenant else {}
        while (await receive())["type"] != "http.disconnect":
            pass
        for message in messages:
            if isinstance(message, Exception):
                raise message
            await send(message)

    usage = UsageMeter()
    scope = {"type": "http", "method": "POST", "path": "/v1/items", "headers": []}
    with suppress(OSError):
        await _log_around(app, usage)(cast("Any", scope), receive, send)
    usage.gather(datetime(2026, 3, 1, tzinfo=UTC))
    batch = usage.batch()
    return list(batch.hours) if batch else []


async def test_a_tenants_request_is_counted_with_the_bytes_of_both_bodies(lines: Lines) -> None:
    [hour] = await _counted(
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": b"four", "more_body": True},
        {"type": "http.response.body", "body": b"five!"},
        {"type": "http.response.body"},
        body=(b"one", b"", b"two"),
        tenant=_tenant(1),
    )
    counts = hour.counts
    assert hour.tenant_id == UUID(int=1)
    assert (counts.requests, counts.refused, counts.errors) == (1, 0, 0)
    assert (counts.received_bytes, counts.sent_bytes) == (6, 9)
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("answer", "refused", "errors"),
    [
        ({"type": "http.response.start", "status": 399, "headers": []}, 0, 0),
        ({"type": "http.response.start", "status": 400, "headers": []}, 1, 0),
        ({"type": "http.response.start", "status": 499, "headers": []}, 1, 0),
        ({"type": "http.response.start", "status": 500, "headers": []}, 0, 1),
        (OSError("the cable is cut"), 0, 1),
    ],
)
async def test_what_was_answered_4xx_was_refused_and_what_broke_is_an_error(
    lines: Lines, answer: Any, refused: int, errors: int
) -> None:
    [hour] = await _counted(answer, tenant=_tenant(1))
    assert (hour.counts.requests, hour.counts.refused, hour.counts.errors) == (1, refused, errors)
    assert len(lines) == 1


async def test_a_request_without_a_tenant_is_counted_for_nobody(lines: Lines) -> None:
    assert await _counted({"type": "http.response.start", "status": 401, "headers": []}, tenant=None) == []
    assert len(lines) == 1
