"""What was measured of migrations and new tenants, as tables in Markdown."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benchmarks.fleet import Measured
from benchmarks.runner import Idle, Ran
from benchmarks.upgrades import Way

T = TypeVar("T")
_UPGRADES_HEAD = """\
| how | tenants | tenants/s | own CPU | PostgreSQL CPU | Leasehold is |
|---|---:|---:|---:|---:|---:|"""
_IDLE_HEAD = """\
| takes, with the process' start | longest | queries |
|---:|---:|---:|"""
_MEMORY_HEAD = """\
| tenants | takes | held at most | beside the fewest |
|---:|---:|---:|---:|"""
_PROVISIONING_HEAD = """\
| how | tenants | one takes | own CPU | PostgreSQL CPU | Leasehold is |
|---|---:|---:|---:|---:|---:|"""
_PROVISIONING_TITLES = {"leasehold": "Leasehold", "by_hand": "by hand on asyncpg"}


def upgrades(compared: Sequence[Way], results: Mapping[str, Sequence[Measured]]) -> str:
    """Return how fast each way was. CPU is for one tenant."""
    lines = [
        _line(
            way.title,
            f"{way.tenants:,}",
            f"{_median(results[way.name], lambda one: one.per_second):,.1f}",
            *_cpu(results[way.name]),
            _ratio(results, way.name),
        )
        for way in compared
    ]
    return "\n".join([_UPGRADES_HEAD, *lines])


def provisioning(results: Mapping[str, Sequence[Measured]]) -> str:
    """Return what a new tenant took. CPU is for one tenant."""
    lines = [
        _line(
            title,
            f"{sum(one.tenants for one in results[name]):,}",
            f"{_median(results[name], lambda one: 1000 / one.per_second):.1f} ms",
            *_cpu(results[name]),
            _ratio(results, name),
        )
        for name, title in _PROVISIONING_TITLES.items()
    ]
    return "\n".join([_PROVISIONING_HEAD, *lines])


def idle(found: Idle) -> str:
    """Return what runs took that had nothing to do."""
    median = statistics.median(found.seconds)
    return "\n".join([_IDLE_HEAD, _line(f"{median:.2f} s", f"{max(found.seconds):.2f} s", str(found.queries))])


def memory(results: Mapping[int, Sequence[Ran]]) -> str:
    """Return what the runner held over fewer and over more tenants."""

    def held(count: int) -> float:
        return _median(results[count], lambda one: one.peak_mib)

    fewest = min(results)
    lines = [
        _line(
            f"{count:,}",
            f"{_median(results[count], lambda one: one.seconds):.1f} s",
            f"{held(count):.1f} MiB",
            f"{held(count) / held(fewest):.2f}x" if count != fewest else "",
        )
        for count in results
    ]
    return "\n".join([_MEMORY_HEAD, *lines])


def _ratio(results: Mapping[str, Sequence[Measured]], name: str) -> str:
    """Return the median of each round's own ratio: what slows the machine for a while slows both."""
    if name == "leasehold":
        return ""
    pairs = zip(results["leasehold"], results[name], strict=True)
    return f"{statistics.median(ours.per_second / its.per_second for ours, its in pairs):.2f}x"


def _cpu(rounds: Sequence[Measured]) -> list[str]:
    """Return the CPU time per tenant; the clock ticks too slowly for one round of a few tenants."""
    tenants = sum(one.tenants for one in rounds)
    totals = sum(one.own_cpu for one in rounds), sum(one.postgres_cpu for one in rounds)
    return [f"{total / tenants * 1000:.1f} ms" for total in totals]


def _median(rounds: Sequence[T], figure: Callable[[T], float]) -> float:
    return statistics.median(map(figure, rounds))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
