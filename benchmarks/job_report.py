"""What was measured of jobs, as tables in Markdown."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benchmarks.job_measures import Latency, Rate
from benchmarks.queues import Queue

T = TypeVar("T")
_RATE_HEAD = """\
| queue | jobs/s | own CPU | PostgreSQL CPU | with a session, Leasehold is |
|---|---:|---:|---:|---:|"""
_LATENCY_HEAD = """\
| queue | idle, p50 | p99 | at {rate:g} jobs/s, p50 | p99 |
|---|---:|---:|---:|---:|"""
_FAIRNESS_HEAD = """\
| queue | starts after, median | longest | jobs |
|---|---:|---:|---:|"""
_OURS = "leasehold_session"


def rates(queues: Sequence[Queue], results: Mapping[str, Sequence[Rate]]) -> str:
    """Return how many jobs that do nothing each ran. CPU is for one job."""
    lines = [
        _line(
            queue.title,
            f"{_median(results[queue.name], lambda one: one.per_second):,.0f}",
            f"{_median(results[queue.name], lambda one: one.own_us):,.0f} us",
            f"{_median(results[queue.name], lambda one: one.postgres_us):,.0f} us",
            _ratio(results, queue.name),
        )
        for queue in queues
    ]
    return "\n".join([_RATE_HEAD, *lines])


def latencies(
    queues: Sequence[Queue],
    idle: Mapping[str, Sequence[Latency]],
    loaded: Mapping[str, Sequence[Latency]],
    *,
    rate: float,
) -> str:
    """Return how soon a job started."""
    lines = [
        _line(
            queue.title,
            *(
                f"{_median(rounds[queue.name], figure):,.1f} ms"
                for rounds in (idle, loaded)
                for figure in (lambda one: one.p50_ms, lambda one: one.p99_ms)
            ),
        )
        for queue in queues
    ]
    return "\n".join([_LATENCY_HEAD.format(rate=rate), *lines])


def fairness(queues: Sequence[Queue], results: Mapping[str, Sequence[float]]) -> str:
    """Return how long jobs of others waited beside the backlog of one tenant."""
    lines = [
        _line(
            queue.title,
            f"{statistics.median(results[queue.name]):,.1f} ms",
            f"{max(results[queue.name]):,.1f} ms",
            str(len(results[queue.name])),
        )
        for queue in queues
        if results.get(queue.name)
    ]
    return "\n".join([_FAIRNESS_HEAD, *lines])


def _ratio(results: Mapping[str, Sequence[Rate]], name: str) -> str:
    """Return the median of each round's own ratio: what slows the machine for a while slows both."""
    if name == _OURS or _OURS not in results:
        return ""
    pairs = zip(results[_OURS], results[name], strict=True)
    return f"{statistics.median(ours.per_second / its.per_second for ours, its in pairs):.2f}x"


def _median(rounds: Sequence[T], figure: Callable[[T], float]) -> float:
    return statistics.median(map(figure, rounds))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
