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
from faults.trial import Outcome

Skipped = tuple[Fault, str]
_COLUMNS = (
    "fault",
    "requests",
    "writes acknowledged",
    "of them lost",
    "rows of a wrong tenant",
    "done twice",
    "refused, yet done",
    "other answers",
    "503",
    "429",
    "cut off",
    "unsure, of them done",
    "no answer",
    "harm, s",
    "p99 meanwhile, s",
    "served again after, s",
    "p99 back after, s",
    "left over",
)


def table(outcomes: Sequence[Outcome], skipped: Sequence[Skipped]) -> str:
    """Return the figures, a line for each fault."""
    lines = [_row(_COLUMNS), "|---" * len(_COLUMNS) + "|", *(_row(_cells(one)) for one in outcomes)]
    lines += [_row((f"`{f.name}`", f"not done: {reason}", *[""] * (len(_COLUMNS) - 2))) for f, reason in skipped]
    return "\n".join(lines)


def conditions(*, is_short: bool, tenants: int) -> str:
    """Return under which conditions the figures were taken."""
    load = os.getloadavg()[0]
    form, machine = "short" if is_short else "long", f"{os.cpu_count()} cores of {processor()}"
    software = f"Linux {platform.release()}, Python {platform.python_version()}"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, the {form} form, on {machine} ({software}), with a load of {load:.1f} at last. "
        f"PostgreSQL 18 with its default durability. {SERVERS} servers with one process each behind a balancer, one "
        f"worker, {tenants} tenants that ask {RATE:.0f} times a second each, half of it writes and a third of those "
        "with an Idempotency-Key."
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
                "harm_p99_s": round(one.harm_p99_s, 2),
                "served_after_s": None if one.served_after_s is None else round(one.served_after_s, 1),
                "back_after_s": None if one.back_after_s is None else round(one.back_after_s, 1),
                "left_processes": one.left_processes,
                "left_connections": one.left_connections,
                "left_files": one.left_files,
                "restarts": one.restarts,
                "struck": one.struck,
                "broken": one.broken,
                "notes": list(one.notes),
                "found": list(one.found),
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


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(one: Outcome) -> Sequence[str]:
    verdict = one.verdict
    bad = ", ".join(f"{count} x {name}" for name, count in sorted(verdict.bad.items())) or "0"
    figures = (
        verdict.requests,
        verdict.acknowledged,
        verdict.lost,
        verdict.wrong_tenant,
        verdict.twice,
        verdict.refused_done,
        bad,
        verdict.refused,
        verdict.limited,
        verdict.cut,
        f"{verdict.unsure}, {verdict.unsure_done}",
        verdict.hung,
        f"{one.harm_s:.1f}",
        f"{one.harm_p99_s:.2f}",
        _seconds(one.served_after_s),
        _seconds(one.back_after_s),
        one.left_processes + one.left_connections + one.left_files + one.badly_ended,
    )
    return (f"`{one.fault.name}`", *map(str, figures))


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"
