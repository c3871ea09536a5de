"""What a line of the log looks like."""

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

Written = Callable[[], str]


@pytest.fixture
def stream() -> Generator[io.TextIOWrapper]:
    """A stream for the log; the configuration of the process comes back at the end."""
    before, handlers, level = structlog.get_config(), logging.root.handlers, logging.root.level
    yield io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    structlog.configure(**before)
    logging.basicConfig(handlers=handlers, level=level, force=True)


def _lines(stream: io.TextIOWrapper) -> list[dict[str, Any]]:
    stream.seek(0)
    return [json.loads(line) for line in stream]


def test_an_event_is_one_line_of_json_with_time_and_level(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="json", stream=stream)
    structlog.get_logger().info("tenant_provisioned", slug="acme", tenant=UUID(int=7), ms=1.5)
    (line,) = _lines(stream)
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert line == {
        "event": "tenant_provisioned",
        "level": "info",
        "slug": "acme",
        "tenant": "00000000-0000-0000-0000-000000000007",
        "ms": 1.5,
    }


def test_an_exception_is_one_line_too(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="json", stream=stream)
    structlog.get_logger().error("request_failed", exc_info=LookupError("no such thing"))
    (line,) = _lines(stream)
    assert line["level"] == "error"
    assert "LookupError: no such thing" in line["exception"]


def test_what_a_library_logs_has_the_same_form(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="json", stream=stream)
    logging.getLogger("some.library").warning("disk is %s", "full")
    logging.getLogger("some.library").info("not this")
    (line,) = _lines(stream)
    assert (line["event"], line["level"]) == ("disk is full", "warning")
    assert "timestamp" in line


def test_less_severe_events_are_left_out(stream: io.TextIOWrapper) -> None:
    configure_logging(level="warning", form="json", stream=stream)
    structlog.get_logger().info("request_answered")
    assert _lines(stream) == []


def test_lines_for_people_are_text(stream: io.TextIOWrapper) -> None:
    configure_logging(level="info", form="console", stream=stream)
    structlog.get_logger().info("tenant_provisioned", slug="acme")
    stream.seek(0)
    assert "tenant_provisioned" in (text := stream.read())
    assert "slug=acme" in text
