"""What a hunt has seen: how many operations, how they were answered, and every sign of another tenant."""

import re
from collections import Counter

from tests.isolation.hunt.wire import Answer

MARK = re.compile(rb"mk[0-9a-f]{12}km")
"""Whatever a tenant of a hunt has carries its mark."""
_MOST_KEPT = 50


class Watch:
    """All that is told at the end."""

    def __init__(self, *, is_over_at_a_leak: bool) -> None:
        self._is_over_at_a_leak = is_over_at_a_leak
        self.operations: Counter[str] = Counter()
        self.judged: Counter[str] = Counter()
        """How many trespasses were answered so that a leak would have been seen."""
        self.statuses: Counter[int] = Counter()
        self.marks = 0
        """How many marks were looked at: a hunt that sees none would find nothing."""
        self.cut = 0
        """Requests that were left alone, by us or by a server."""
        self.leaks: list[str] = []
        self.faults: list[str] = []
        """Answers that no operation should have, though they tell nothing of another tenant."""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to be found out."""
        return self._is_over_at_a_leak and bool(self.leaks)

    def progress(self, seconds: float) -> str:
        """Return in a line how far it has come in so many seconds."""
        done = sum(self.operations.values())
        return f"operations {done}, per second {done / seconds:.0f}, leaks {len(self.leaks)}, faults {len(self.faults)}"

    def look(self, act: str, mark: bytes, answer: Answer) -> None:
        """Look for marks of others than the tenant that has asked."""
        self.statuses[answer.status] += 1
        for found in MARK.findall(answer.head + answer.body):
            self.marks += 1
            if found != mark:
                self.leak(f"{act} of {mark.decode()} was answered {answer.status} with {found.decode()}")

    def leak(self, what: str) -> None:
        """Take down that something of a tenant was seen, or done, by another."""
        if len(self.leaks) < _MOST_KEPT:
            self.leaks.append(what)

    def fault(self, what: str) -> None:
        """Take down an answer that should not be."""
        if len(self.faults) < _MOST_KEPT:
            self.faults.append(what)
