"""How long it hurt: from the end of the harm until requests are answered as before."""

from collections.abc import Sequence
from math import inf

from faults.journal import Entry

WINDOW_S = 1.0
LIMIT = 2.0
"""A window is as before when its 99th percentile is within so many times that of the quiet time."""
NOISE_S = 0.1
"""What a busy machine adds by itself: below this no window counts as slow."""
NOTICED_S = 2.0
"""A harm whose 99th percentile is above this is noticed; on a busy machine requests take long without any."""
_WELL = frozenset({200, 201})


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of all does not exceed (the nearest-rank method)."""
    ordered = sorted(seconds)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)] if ordered else 0.0


def p99_s(entries: Sequence[Entry], *, begins: float, ends: float) -> float:
    """Return the 99th percentile of first attempts that were due in a time, such as the quiet one."""
    return percentile([one.at - one.due for one in firsts(entries) if begins <= one.due < ends], 0.99)


def slow_from_s(quiet_s: float) -> float:
    """Return what the 99th percentile of a window may be at most, by that of the quiet time."""
    return max(LIMIT * quiet_s, NOISE_S)


def back_after_s(entries: Sequence[Entry], *, harmed_until: float, within_s: float = inf) -> float | None:
    """Return how long after the harm all was as before, and stayed so until the end of the journal: None if it did not.

    Each request of a window must have been answered well, and the 99th percentile be within so many seconds. Windows
    begin every tenth of a second, and count by when requests were due; one that is not whole at the end does not count.
    """
    after = sorted((one for one in firsts(entries) if one.due >= harmed_until), key=lambda one: one.due)
    if not after:
        return None
    end = after[-1].due
    back: float | None = None
    start = harmed_until
    while start + WINDOW_S <= end:
        window = [one for one in after if start <= one.due < start + WINDOW_S]
        is_well = bool(window) and all(one.event == "answered" and one.status in _WELL for one in window)
        if is_well and percentile([one.at - one.due for one in window], 0.99) <= within_s:
            back = start if back is None else back
        else:
            back = None
        start += WINDOW_S / 10
    return None if back is None else back - harmed_until


def firsts(entries: Sequence[Entry]) -> list[Entry]:
    """Return what came of first attempts."""
    return [one for one in entries if one.event != "sent" and one.attempt == 1]
