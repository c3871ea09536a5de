"""Many writes in one request: each line has its own result, and a line that is refused takes no other with it."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from leasehold.core.errors import TYPE_PREFIX, Problem
from leasehold.core.validation import within

ItemT = TypeVar("ItemT")
MOST_LINES = 1000
LINES = "lines"
"""Names, in the decorator of a route that takes many at once, the struct of one line for the OpenAPI document."""


class LineFault(Struct):
    """One fault in a line."""

    pointer: str
    """JSON pointer (RFC 6901) into the body of the request."""
    detail: str


class LineProblem(Struct):
    """Why a line was refused: what the problem document of a request for this line alone would say."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[LineFault]


class Outcome(Struct, Generic[ItemT]):
    """What became of one line."""

    index: int
    """Its place in the request, from 0."""
    status: int
    """The status that a request for this line alone would have got."""
    item: ItemT | None
    """What it is now; null where the line was refused."""
    problem: LineProblem | None
    """Why it was refused; null where it was not."""


class Outcomes(Struct, Generic[ItemT]):
    """What became of each line, in the order of the request."""

    results: list[Outcome[ItemT]]
    succeeded: int
    failed: int


def lines_of(results: Sequence[ItemT | Problem], *, status: int) -> Outcomes[ItemT]:
    """Return the answer to lines of which each has become something, with this status, or was refused."""
    failed = sum(isinstance(result, Problem) for result in results)
    lines = [_line(index, result, status) for index, result in enumerate(results)]
    return Outcomes(lines, len(lines) - failed, failed)


def _line(index: int, result: ItemT | Problem, status: int) -> Outcome[ItemT]:
    if not isinstance(result, Problem):
        return Outcome(index, status, result, None)
    faults = [LineFault(fault.pointer, fault.detail) for fault in within(f"/items/{index}", result.errors)]
    problem = LineProblem(TYPE_PREFIX + result.type, result.title, result.status, result.detail, faults)
    return Outcome(index, result.status, None, problem)
