"""The table of figures, as text and as JSON."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.machine import processor
from faults.asking import RATE
from faults.deployment import SERVERS
from faults.fault import Fault
from faults.latency import LIMIT, NOISE_S, WINDOW_S
from faults.trial import Outcome

Skipped = tuple[Fault, str]
_HEAD = (
    "| fault | writes acknowledged | lost | wrong tenant | twice | refused, yet done | other 5xx and 4xx | 503 | cut "
    "| unsure (done) | no answer | harm, s | back after, s | left over |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def table(outcomes: Sequence[Outcome], skipped: Sequence[Skipped]) -> str:
    """Return the figures, a line for each fault."""
    lines = [_HEAD, *map(_line, outcomes)]
    lines += [f"| `{fault.name}` | not done: {reason} {'| ' * 12}|" for fault, reason in skipped]
    return "\n".join(lines)


def promises(faults: Sequence[Fault]) -> str:
    """Return what is promised under each fault."""
    return "\n".join(["| fault | what is promised |", "|---|---|", *(f"| `{f.name}` | {f.expected} |" for f in faults)])


def conditions(*, is_short: bool, tenants: int) -> str:
    """Return under which conditions the figures were taken."""
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, the {'short' if is_short else 'long'} form, on {os.cpu_count()} cores of "
        f"{processor()} (Linux {platform.release()}, Python {platform.python_version()}; load of the machine {load:.1f}), "
        f"PostgreSQL 18 with its default durability. {SERVERS} servers with one process each behind a balancer, one "
        f"worker, {tenants} tenants that ask {RATE:.0f} times a second each, half of it writes and a third of those "
        f"with an Idempotency-Key. *Back* is when for {WINDOW_S:.0f} s every request was answered well and the 99th "
        f"percentile was within {LIMIT:.0f} times that of the quiet time, or {NOISE_S * 1000:.0f} ms."
    )


def as_json(outcomes: Sequence[Outcome], skipped: Sequence[Skipped], *, conditions: str) -> bytes:
    """Return everything that was found."""
    found = {
        "conditions": conditions,
        "faults": [
            {
                "name": one.fault.name,
                "expected": one.fault.expected,
                **{name: getattr(one.verdict, name) for name in one.verdict.__slots__},
                "bad": dict(one.verdict.bad),
                "harm_s": round(one.harm_s, 2),
                "quiet_p99_ms": round(one.quiet_p99_ms, 1),
                "back_after_s": None if one.back_after_s is None else round(one.back_after_s, 1),
                "left_processes": one.left_processes,
                "left_connections": one.left_connections,
                "left_files": one.left_files,
                "restarts": one.restarts,
                "broken": one.broken,
                "notes": list(one.notes),
            }
            for one in outcomes
        ],
        "skipped": {fault.name: reason for fault, reason in skipped},
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=2)


def write(folder: Path, text: str, json: bytes) -> None:
    """Write both forms into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.md").write_text(text + "\n")
    (folder / "faults.json").write_bytes(json + b"\n")


def _line(one: Outcome) -> str:
    verdict = one.verdict
    bad = ", ".join(f"{count} x {name}" for name, count in sorted(verdict.bad.items())) or "0"
    left = one.left_processes + one.left_connections + one.left_files + one.badly_ended
    back = "never" if one.back_after_s is None else f"{one.back_after_s:.1f}"
    unsure = f"{verdict.unsure} ({verdict.unsure_done})"
    cells = [
        f"`{one.fault.name}`",
        *map(str, (verdict.acknowledged, verdict.lost, verdict.wrong_tenant, verdict.twice, verdict.refused_done, bad)),
        *map(str, (verdict.refused, verdict.cut, unsure, verdict.hung, f"{one.harm_s:.1f}", back, left)),
    ]
    return "| " + " | ".join(cells) + " |"
