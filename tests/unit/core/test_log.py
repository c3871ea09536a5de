"""What a line of the log looks like."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import structlog

from leasehold.core.log import configure_logging
from leasehold.core.principal import Principal
from leasehold.core.trace import Trace, tracing
from leasehold.tenancy.context import TenantRef, TenantState

Written = Callable[[], str]


@pytest.fixture
def stream() -> Generator[io.TextIOWrapper]:
    """A stream for the log; the configuration of the process comes back at the end.

    Tests say that theirs is not final: a logger of an application that runs beside would keep the stream for good.
    """
    before, handlers, level = structlog.get_config(), [*logging.root.handlers], logging.root.level
    yield io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    structlog.configure(**before)
    logging.basicConfig(handlers=handlers, level=level, force=True)


def _lines(stream: io.TextIOWrapper, *events: str) -> list[dict[str, Any]]:
    """Return the lines about the events of a test.

    What else the process has to say comes in between: of an application that runs beside, or of a task that an earlier
    test has left to the garbage collector.
    """
    stream.seek(0)
    return [line for line in map(json.loads, stream) if line["event"] in events]


def test_an_event_names_the_request_and_the_trace_in_which_it_happened(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="json", stream=stream, is_final=False)
    with tracing(Trace("a" * 32, request_id="a-request")):
        structlog.get_logger().info("user_added")
        structlog.get_logger().info("request_answered", request_id="its-own", trace_id="b" * 32)
    with tracing(Trace("c" * 32)):
        structlog.get_logger().info("job_ended")
    structlog.get_logger().info("server_started")
    lines = _lines(stream, "user_added", "request_answered", "job_ended", "server_started")
    assert [(line.get("request_id"), line.get("trace_id")) for line in lines] == [
        ("a-request", "a" * 32),
        ("its-own", "b" * 32),
        (None, "c" * 32),
        (None, None),
    ]


def test_an_event_names_the_tenant_and_who_asked_as_soon_as_they_are_known(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="json", stream=stream, is_final=False)
    state = dict[str, Any]()
    log = structlog.get_logger()
    with tracing(Trace("a" * 32, request_id="a-request", about=state)):
        log.info("token_read")
        state["principal"] = Principal("user", UUID(int=8), frozenset(), UUID(int=7), 0)
        log.info("tenant_looked_for")
        state["tenant"] = TenantRef(UUID(int=7), "acme", "t_7", "lh_7", TenantState.ACTIVE, "0001")
        log.info("item_added")
        log.info("platform_asked", tenant=None)
    with tracing(Trace("c" * 32, about={"tenant_id": UUID(int=9)})):
        log.info("job_called")
    lines = _lines(stream, "token_read", "tenant_looked_for", "item_added", "platform_asked", "job_called")
    assert [(line["event"], line.get("tenant"), line.get("subject")) for line in lines] == [
        ("token_read", None, None),
        ("tenant_looked_for", str(UUID(int=7)), str(UUID(int=8))),
        ("item_added", str(UUID(int=7)), str(UUID(int=8))),
        ("platform_asked", str(UUID(int=7)), str(UUID(int=8))),
        ("job_called", str(UUID(int=9)), None),
    ]


def test_an_event_is_one_line_of_json_with_time_and_level(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="json", stream=stream, is_final=False)
    structlog.get_logger().info("tenant_provisioned", slug="acme", tenant=UUID(int=7), ms=1.5)
    (line,) = _lines(stream, "tenant_provisioned")
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert line == {
        "event": "tenant_provisioned",
        "level": "info",
        "slug": "acme",
        "tenant": "00000000-0000-0000-0000-000000000007",
        "ms": 1.5,
    }


def test_an_exception_is_one_line_too_and_tells_where_it_happened_without_its_words(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="json", stream=stream, is_final=False)
    try:
        try:
            raise ConnectionResetError(104, "by 10.0.0.7")
        except OSError as error:
            raise ExceptionGroup("two at once", [LookupError("no such thing")]) from error
    except ExceptionGroup as error:
        structlog.get_logger().error("request_failed", exc_info=error)
        logging.getLogger("some.library").exception("it broke")
        structlog.get_logger().exception("job_failed")
    lines = _lines(stream, "request_failed", "it broke", "job_failed")
    assert [line["level"] for line in lines] == ["error"] * 3
    for line in lines:
        told = line["exception"]
        assert f'File "{__file__}", line ' in told
        assert [part in told for part in ("ConnectionResetError (ECONNRESET)", "ExceptionGroup", "LookupError")] == [
            True,
            True,
            True,
        ]
        assert [part in told for part in ("10.0.0.7\n", "two at once\n", "no such thing\n")] == [False, False, False]


def test_what_a_library_logs_has_the_same_form(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="json", stream=stream, is_final=False)
    logging.getLogger("some.library").warning("disk is %s", "full")
    logging.getLogger("some.library").info("not this")
    (line,) = _lines(stream, "disk is full", "not this")
    assert (line["event"], line["level"]) == ("disk is full", "warning")
    assert "timestamp" in line


def test_less_severe_events_are_left_out(stream: io.TextIOWrapper) -> None:
    configure_logging(level="warning", form="json", stream=stream, is_final=False)
    structlog.get_logger().info("request_answered")
    assert _lines(stream, "request_answered") == []


def test_lines_for_people_are_text(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="console", stream=stream, is_final=False)
    structlog.get_logger().info("tenant_provisioned", slug="acme")
    stream.seek(0)
    assert "tenant_provisioned" in (text := stream.read())
    assert "slug=acme" in text


def _events(stream: io.TextIOWrapper) -> list[str]:
    return [line["event"] for line in _lines(stream, "first", "second", "last", "later")]


async def test_lines_that_are_gathered_are_written_soon_without_anybody_asking(stream: io.TextIOWrapper) -> None:
    lines = configure_logging(level="info", form="json", stream=stream, is_final=False)
    async with lines.gathering():
        structlog.get_logger().info("first")
        structlog.get_logger().info("second")
        assert _events(stream) == []
        async with asyncio.timeout(30):
            while not _events(stream):
                await asyncio.sleep(0.001)
        assert _events(stream) == ["first", "second"]


async def test_a_warning_does_not_wait_and_comes_behind_what_did(stream: io.TextIOWrapper) -> None:
    lines = configure_logging(level="info", form="json", stream=stream, is_final=False)
    async with lines.gathering():
        structlog.get_logger().info("first")
        structlog.get_logger().warning("second")
        assert _events(stream) == ["first", "second"]


async def test_nothing_is_left_when_gathering_ends_whatever_ends_it(stream: io.TextIOWrapper) -> None:
    lines = configure_logging(level="info", form="json", stream=stream, is_final=False)

    async def serve() -> None:
        async with lines.gathering():
            structlog.get_logger().info("last")
            raise LookupError

    with pytest.raises(LookupError):
        await serve()
    assert _events(stream) == ["last"]
    structlog.get_logger().info("later")
    assert _events(stream) == ["last", "later"]


async def test_threads_lose_no_line_to_each_other(stream: io.TextIOWrapper) -> None:
    lines = configure_logging(level="info", form="json", stream=stream, is_final=False)

    def work(name: str) -> None:
        for number in range(300):
            structlog.get_logger().info(f"{name} {number}")

    async with lines.gathering():
        threads = [asyncio.to_thread(work, f"thread {number}") for number in range(3)]
        work("loop")
        await asyncio.gather(*threads)
    names = ["loop", "thread 0", "thread 1", "thread 2"]
    expected = [f"{name} {number}" for name in names for number in range(300)]
    assert sorted(line["event"] for line in _lines(stream, *expected)) == sorted(expected)
