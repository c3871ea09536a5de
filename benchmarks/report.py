"""What was measured, as a table in Markdown and as JSON for the plot."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.traffic import OPERATIONS

_HEAD = """\
| server | requests/s | server CPU | PostgreSQL CPU | p50 | p99 | p99 / p50 | Leasehold is |
|---|---:|---:|---:|---:|---:|---:|---:|"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One server under one load. CPU is in microseconds per request."""

    per_second: float
    server_us: float
    postgres_us: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Case:
    """One operation, spread over so many tenants."""

    operation: str
    spread: int


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run. The rounds of all servers stand in the same order."""

    conditions: Sequence[str]
    titles: Mapping[str, str]
    measured: Mapping[Case, Mapping[str, Sequence[Measured]]]


def markdown(results: Results) -> str:
    """Return the tables with the conditions under which they hold."""
    parts = ["# What a request costs", "\n".join(f"- {condition}" for condition in results.conditions)]
    for case, servers in results.measured.items():
        parts += [f"## {_title(case)}", "\n".join([_HEAD, *(_row(results, servers, name) for name in results.titles)])]
    if spreads := _across_spreads(results):
        parts += ["## Leasehold at more tenants", spreads]
    return "\n\n".join(parts) + "\n"


def encoded(results: Results) -> bytes:
    """Return all rounds as JSON."""
    cases = [
        {
            "title": _title(case),
            **asdict(case),
            "servers": [
                {"name": name, "title": results.titles[name], "rounds": [asdict(one) for one in servers[name]]}
                for name in results.titles
            ],
        }
        for case, servers in results.measured.items()
    ]
    return json.dumps({"conditions": results.conditions, "cases": cases}, indent=1).encode()


def _title(case: Case) -> str:
    return f"{OPERATIONS[case.operation]}, {case.spread} tenant{'s' if case.spread > 1 else ''}"


def _row(results: Results, servers: Mapping[str, Sequence[Measured]], name: str) -> str:
    rounds = servers[name]
    p50, p99 = _median(rounds, lambda one: one.p50_ms), _median(rounds, lambda one: one.p99_ms)
    ours = servers.get("leasehold")
    # Each round is compared by itself: what slows the machine for a while slows both.
    ratios = [our.per_second / its.per_second for our, its in zip(ours, rounds, strict=True)] if ours else []
    cells = [
        results.titles[name],
        f"{_median(rounds, lambda one: one.per_second):,.0f}",
        f"{_median(rounds, lambda one: one.server_us):,.0f} us",
        f"{_median(rounds, lambda one: one.postgres_us):,.0f} us",
        f"{p50:.1f} ms",
        f"{p99:.1f} ms",
        f"{p99 / p50:.1f}",
        f"{statistics.median(ratios):.2f}x" if ratios and name != "leasehold" else "",
    ]
    return f"| {' | '.join(cells)} |"


def _across_spreads(results: Results) -> str:
    """Return how Leasehold's requests/s change from the fewest tenants to more."""
    lines: list[str] = []
    first = min((case.spread for case in results.measured), default=0)
    for case, servers in results.measured.items():
        base = results.measured[Case(case.operation, first)].get("leasehold")
        if case.spread > first and base:
            pairs = zip(servers["leasehold"], base, strict=True)
            ratio = statistics.median(many.per_second / few.per_second for many, few in pairs)
            lines.append(f"- {OPERATIONS[case.operation]}: {case.spread} tenants at {ratio:.2f} of {first}")
    return "\n".join(lines)


def _median(rounds: Sequence[Measured], figure: Callable[[Measured], float]) -> float:
    return statistics.median(map(figure, rounds))
