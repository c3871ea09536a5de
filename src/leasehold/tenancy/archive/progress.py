"""How whoever waits learns how far an export or an import is."""

from collections.abc import Callable
from dataclasses import dataclass


def _ignore(*_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is told on the way."""

    on_start: Callable[[int], object] = _ignore
    """How many tables there are to be gone through, each pass over them counted."""
    on_table: Callable[[str, int], object] = _ignore
    """What was done, with the table's name, and how many bytes that were."""
    on_bytes: Callable[[int], object] = _ignore
    """How many more bytes went by."""


SILENT = Progress()
