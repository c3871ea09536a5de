"""Counts requests by route and method: how many, how answered, how long."""

from bisect import bisect_left

from leasehold.core.figures.family import Family, Kind, Sample
from leasehold.core.figures.histogram import SECONDS

UNMATCHED = "unmatched"
"""Stands for every address that no route has: what a client makes up must not become a series."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that have a name of their own; a method is whatever a client says, too."""
_OTHER = "other"


class _Route:
    """What was answered on one route to one method."""

    __slots__ = ("answered", "counts", "seconds")

    def __init__(self) -> None:
        self.answered = [0] * 6
        """By the first digit of the status."""
        self.counts = [0] * (len(SECONDS) + 1)
        self.seconds = 0.0


class RequestFigures:
    """The requests of a process. `in_flight` is for whoever serves them to raise, and falls when one is answered."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._routes: dict[tuple[str | None, str], _Route] = {}

    def answered(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered; `route` is the template of its address, None where none has it."""
        self.in_flight -= 1
        figures = self._routes.get((route, method)) or self._known(route, method)
        figures.answered[status // 100] += 1
        figures.counts[bisect_left(SECONDS, seconds)] += 1
        figures.seconds += seconds

    def families(self) -> list[Family]:
        """Return all that was counted."""
        labels = ("method", "route")
        routes = [((method, route or UNMATCHED), figures) for (route, method), figures in self._routes.items()]
        answered = [
            Sample((*series, f"{digit}xx"), [count])
            for series, figures in routes
            for digit, count in enumerate(figures.answered)
            if count
        ]
        seconds = [Sample(series, [*figures.counts, figures.seconds]) for series, figures in routes]
        return [
            Family(
                "leasehold_http_requests",
                Kind.COUNTER,
                "Requests by route, method and class of the status they were answered with",
                answered,
                (*labels, "status"),
            ),
            Family(
                "leasehold_http_request_seconds",
                Kind.HISTOGRAM,
                "Seconds from the head of a request to the end of its answer",
                seconds,
                labels,
                SECONDS,
            ),
            Family.number(
                "leasehold_http_requests_in_flight", "Requests that are not answered to their end yet", self.in_flight
            ),
        ]

    def _known(self, route: str | None, method: str) -> _Route:
        return self._routes.setdefault((route, method if method in METHODS else _OTHER), _Route())
