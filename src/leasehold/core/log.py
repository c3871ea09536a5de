"""Logging: structured events on standard output, each a past-tense fact with fields."""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO, Literal, TextIO

import msgspec
import structlog
from structlog.processors import format_exc_info
from structlog.typing import EventDict, Processor, WrappedLogger

from leasehold.core.clock import utc_now
from leasehold.core.failures import error_of, traceback_of
from leasehold.core.trace import current_trace

_FOR_PEOPLE: list[Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    format_exc_info,
    structlog.dev.ConsoleRenderer(colors=False),
]
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_GATHER_S = 0.01

_encode = msgspec.json.Encoder(enc_hook=str).encode


class LineWriter:
    """Writes lines to a stream, each of them at once.

    While it gathers, those of ten milliseconds are written together, for a write costs more than all else about a
    line. A warning or worse never waits, and takes along what did: only a process that is killed can lose lines, and
    those say that something went well.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @asynccontextmanager
    async def gathering(self) -> AsyncGenerator[None]:
        """Gather lines while this lasts; all are written at its end."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        try:
            yield
        finally:
            self._loop = None
            self.flush()

    def info(self, line: bytes) -> None:
        """Write a line, soon."""
        loop = self._loop
        # Another thread may not touch the loop.
        if loop is None or threading.get_ident() != self._thread:
            self.warning(line)
            return
        with self._lock:
            self._waiting.append(line)
            is_first = len(self._waiting) == 1
        if is_first:
            loop.call_later(_GATHER_S, self.flush)

    def warning(self, line: bytes) -> None:
        """Write a line now, behind those that wait."""
        with self._lock:
            self._waiting.append(line)
        self.flush()

    def flush(self) -> None:
        """Write the lines that wait."""
        with self._lock:
            if self._waiting:
                lines, self._waiting = self._waiting, []
                self._stream.write(b"\n".join([*lines, b""]))
                self._stream.flush()

    debug = info
    error = critical = warning


def configure_logging(
    *,
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["json", "console"],
    stream: TextIO = sys.stdout,
    is_final: bool = True,
) -> LineWriter:
    """Send our events and those of the libraries to one stream in one form, and return what writes ours.

    In JSON, errors are told without their words, which may repeat secrets; see `core.failures`.

    Loggers keep the configuration of their first event. Not if it is not `is_final`: a server's processes are forked
    from a command that has said something by then, and have a configuration of their own.
    """
    # One processor for all of it in JSON: there is a line about each request.
    render: list[Processor] = [_to_json] if form == "json" else [_with_trace, *_FOR_PEOPLE, _as_bytes]
    lines = LineWriter(stream.buffer)
    structlog.configure(
        processors=render,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=is_final,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render, _as_text],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(_LEVELS[level], logging.WARNING), force=True)
    return lines


def _with_trace(_logger: WrappedLogger, _level: str, event: EventDict) -> EventDict:
    """Say of which request or trace an event is, for which tenant and on whose behalf, if it does not itself."""
    trace = current_trace()
    if trace is not None and "trace_id" not in event:
        event["trace_id"] = trace.trace_id
        if trace.request_id is not None:
            event["request_id"] = trace.request_id
        tenant, principal = trace.about.get("tenant"), trace.about.get("principal")
        tenant_id = tenant.id if tenant is not None else trace.about.get("tenant_id")
        if tenant_id is None and principal is not None:
            tenant_id = principal.tenant_id  # of a request that is refused for its tenant, that of who asked
        if tenant_id is not None and event.get("tenant") is None:
            event["tenant"] = tenant_id
        if principal is not None:
            event["subject"] = principal.subject
    return event


def _to_json(logger: WrappedLogger, level: str, event: EventDict) -> bytes:
    if "exc_info" in event and (error := error_of(event.pop("exc_info"))) is not None:
        event["exception"] = traceback_of(error)
    event = _with_trace(logger, level, event)
    event["timestamp"], event["level"] = utc_now(), level
    return _encode(event)


def _as_bytes(_logger: WrappedLogger, _level: str, line: Any) -> bytes:
    return line.encode()


def _as_text(_logger: WrappedLogger, _level: str, line: Any) -> str:
    return line.decode()
