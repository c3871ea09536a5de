"""Logging: structured events on standard output, each a past-tense fact with fields."""

import logging
import sys
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.processors import format_exc_info
from structlog.typing import EventDict, Processor, WrappedLogger

from leasehold.core.clock import utc_now

_FOR_PEOPLE: list[Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    format_exc_info,
    structlog.dev.ConsoleRenderer(colors=False),
]
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logging(
    *,
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["json", "console"],
    stream: TextIO = sys.stdout,
) -> None:
    """Send our events and those of the libraries to one stream in one form."""
    as_json = form == "json"
    # One processor for all of it in JSON: there is a line about each request.
    processors: list[Processor] = [_to_json] if as_json else _FOR_PEOPLE
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(stream.buffer) if as_json else structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([_to_json, _as_text] if as_json else _FOR_PEOPLE),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(_LEVELS[level], logging.WARNING), force=True)


def _to_json(logger: WrappedLogger, level: str, event: EventDict) -> bytes:
    event = format_exc_info(logger, level, event)
    return msgspec.json.encode({**event, "timestamp": utc_now(), "level": level}, enc_hook=str)


def _as_text(_logger: WrappedLogger, _level: str, line: Any) -> str:
    return line.decode()
