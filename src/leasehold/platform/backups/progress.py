"""How whoever waits learns how far a run is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from leasehold.platform.backups.schemas import Result


def _ignore(*_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What is told on the way, from any thread."""

    on_start: Callable[[int, datetime | None], object] = _ignore
    """How many there are to do, and when the run began that is gone on with."""
    on_result: Callable[[Result], object] = _ignore
    on_bytes: Callable[[int], object] = _ignore
    """How many more bytes were read."""


UNSEEN = RunProgress()
