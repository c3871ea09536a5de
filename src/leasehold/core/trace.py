"""The trace that a request or a job belongs to (W3C Trace Context, level 1), across log lines and jobs.

It is told to whoever writes a line or asks for a job by a context variable, as tracing libraries do: nobody decides
anything by it.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from secrets import token_hex
from types import MappingProxyType
from typing import Any, NamedTuple

from uuid_utils import uuid7

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Trace(NamedTuple):
    """What the lines about one request or job have in common."""

    trace_id: str
    """32 hexadecimal digits."""
    is_sampled: bool = False
    request_id: str | None = None
    """None in a job."""
    parent_id: str | None = None
    """The place in it of who asked, 16 hexadecimal digits; None if the trace begins here."""
    span_id: str | None = None
    """This one's own place, where places are recorded."""
    about: Mapping[str, Any] = _NOTHING
    """`tenant` and `principal`, as soon as they are known; or the `tenant_id` where that is all that is known."""

    def traceparent(self) -> str:
        """Return what is handed on in the trace; a place of its own that is not recorded is a new one each time."""
        return f"00-{self.trace_id}-{self.span_id or token_hex(8)}-{self.is_sampled:02x}"


_CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current_trace() -> Trace | None:
    """Return the trace of what is being done, None outside of requests and jobs."""
    return _CURRENT.get()


class tracing:  # noqa: N801  # it reads as what it does, and costs a third of a generator
    """Let whatever is done meanwhile belong to a trace."""

    __slots__ = ("_token", "_trace")

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __enter__(self) -> None:
        self._token = _CURRENT.set(self._trace)

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)


def trace_of(traceparent: str | None, *, request_id: str | None = None, about: Mapping[str, Any] = _NOTHING) -> Trace:
    """Return the trace that a `traceparent` names (section 3.2), or a new one if it names none.

    A version that is not known yet counts as far as it says what this one says.
    """
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None or not _is_valid(*found.groups()):
        return Trace(uuid7().hex, request_id=request_id, about=about)
    is_sampled = int(found[4], 16) & 1 == 1
    return Trace(found[2], is_sampled=is_sampled, request_id=request_id, parent_id=found[3], about=about)


def _is_valid(version: str, trace_id: str, parent_id: str, _flags: str, rest: str | None) -> bool:
    return (
        version != "ff" and not (version == "00" and rest) and trace_id.strip("0") != "" and parent_id.strip("0") != ""
    )
