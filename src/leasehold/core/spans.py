"""What requests, jobs and statements say to who records traces. Who that is, nothing here knows: it is an extra."""

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from leasehold.core.trace import Trace

Attributes = Mapping[str, str | int]


class Span(Protocol):
    """A request or a job that is under way."""

    @property
    def trace(self) -> Trace:
        """Its place in its trace."""
        ...

    def end(self, name: str, *, is_error: bool, attributes: Attributes) -> None:
        """Say what it was, when it is over. In the task that began it."""
        ...


class Spans(Protocol):
    """Records what is done, where it belongs to a trace."""

    def begin(self, name: str, trace: Trace, *, is_job: bool = False) -> Span:
        """Begin a request, or a job, which is what all that follows in this task belongs to until it is over."""
        ...

    def statement(self, sql: str, tenant_id: UUID | None, *, seconds: float) -> None:
        """Record a statement that has just ended."""
        ...

    def close(self) -> None:
        """Hand over what was recorded; takes some seconds where nobody takes it."""
        ...
