"""What a fault is: a name, what is promised under it, the harm, and what it needs."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from faults.stage import Stage

Route = Callable[[str, Stage], AbstractAsyncContextManager[Mapping[str, str]]]
"""Puts something between the processes and PostgreSQL: takes its URL, yields settings over the usual ones."""

Shown = Literal["refused", "renewed", "restarts", "struck"]
"""The last is what the harm itself counts (`Stage.struck`), where requests need not notice it."""


def nothing_in_the_way() -> str | None:
    """Say that it can be done anywhere."""
    return None


@asynccontextmanager
async def straight(_url: str, _stage: Stage) -> AsyncGenerator[Mapping[str, str]]:
    """Put nothing between."""
    yield {}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    name: str
    expected: str
    """What is promised, in one sentence."""
    harm: Callable[[Stage], Awaitable[None]]
    """Does the harm and returns in the moment in which it is over."""
    shown_by: Shown
    """The figure that cannot be 0 if the harm was done: a harm that nobody could notice proves nothing."""
    why_not: Callable[[], str | None] = nothing_in_the_way
    """Why it cannot be done on this machine, None where it can."""
    route: Route = straight
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings of the processes over the usual ones, as the environment has them."""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parameters of PostgreSQL over the usual ones."""
    disk_mib: int = 0
    """Size of the disk that PostgreSQL has for itself; 0 for the machine's."""
    workers: int = 1
    is_unnoticed: bool = False
    """Whether no request may be refused or cut off, and 99 of 100 must be answered within `NOTICED_S`."""
    is_in_short_form: bool = False
