"""`python -m benchmarks migrate`: how fast a fleet is migrated, beside SQL by hand and Alembic as it is used.

Also what a run costs that has nothing to do, whether the runner's memory stays flat, and what a new tenant costs.
Those that are compared take turns, and each turn begins with another one.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import fleet_report as report
from benchmarks.fleet import Fleet, Measured
from benchmarks.installation import Installation, installation
from benchmarks.machine import busy_seconds, cpu_seconds, family, processor
from benchmarks.progress import say
from benchmarks.provisioning import TURN, ByHand, fill, in_turns
from benchmarks.runner import Ran, idle_runs, run_over
from benchmarks.upgrades import Way, upgraded, ways
from leasehold.config import PROJECT_ROOT, Settings
from leasehold.tenancy.fleet.history import TenantHistory


def main(arguments: list[str]) -> None:
    """Measure, print the tables, and write them where a folder is named."""
    given = _options(arguments)
    text = asyncio.run(_measure(given))  # no uvloop: `leasehold migrate all` has none either
    print(text)
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "migrate.md").write_text(f"{text}\n")


async def _measure(given: argparse.Namespace) -> str:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as name:
        folder = Path(name)
        async with installation(folder / "postgres", tenants=0, items=0, pool=4) as installed:
            fleet = fleet_of(installed, folder, given.jobs)
            by_hand = await ByHand.written(fleet)
            with _others(installed) as others:
                provisioned = await in_turns(fleet, by_hand, given.turns)
                say(f"making {given.tenants:,} tenants")
                await fill(fleet, by_hand, given.tenants)
                say("running with nothing to do")
                idle = await idle_runs(fleet, folder / "postgres", tenants=given.idle_tenants, runs=given.idle_runs)
                fleet.add_revision()
                compared = ways(
                    tenants=given.tenants, processes=given.processes, commands=given.commands, folder=folder
                )
                upgrades = await _upgrades(fleet, compared, given.rounds)
                await fill(fleet, by_hand, given.memory_tenants[-1])
                held = await _memory(fleet, given.memory_tenants, given.memory_rounds)
    parts = [
        "# What a migration costs",
        "\n".join(f"- {line}" for line in [*_conditions(given, installed), *others]),
        f"## A column, an index and a table for {given.tenants:,} tenants",
        report.upgrades(compared, upgrades),
        f"## Nothing to do for {given.idle_tenants:,} tenants",
        report.idle(idle),
        "## Memory of the runner",
        report.memory(held),
        "## A new tenant",
        report.provisioning(provisioned),
    ]
    return "\n\n".join(parts)


def fleet_of(installed: Installation, folder: Path, jobs: int) -> Fleet:
    """Return the fleet of a new installation, with migrations that the benchmark may add to."""
    migrations = folder / "migrations"
    shutil.copytree(PROJECT_ROOT / "migrations", migrations, ignore=shutil.ignore_patterns("__pycache__"))
    named = {name.removeprefix("LEASEHOLD_").lower(): value for name, value in installed.settings.items()}
    settings = Settings(**named, migrations_dir=migrations, tenant_roles=True)
    return Fleet(installed, settings, TenantHistory.load(migrations).head, jobs)


async def _upgrades(fleet: Fleet, compared: Sequence[Way], rounds: int) -> dict[str, list[Measured]]:
    tenants = [row["id"] for row in await fleet.fetch("SELECT id FROM platform.tenants ORDER BY id")]
    results: dict[str, list[Measured]] = defaultdict(list)
    for number in range(rounds):
        start = number % len(compared)
        for way in [*compared[start:], *compared[:start]]:
            result = await upgraded(fleet, way, tenants)
            results[way.name].append(result)
            say(f"round {number + 1} of {rounds}: {way.title}, {result.per_second:.1f} tenants/s")
    return results


async def _memory(fleet: Fleet, counts: Sequence[int], rounds: int) -> dict[int, list[Ran]]:
    tenants = [row["id"] for row in await fleet.fetch("SELECT id FROM platform.tenants ORDER BY id")]
    results: dict[int, list[Ran]] = defaultdict(list)
    for number in range(rounds):
        for count in counts[:: -1 if number % 2 else 1]:
            ran = await run_over(fleet, tenants[:count])
            results[count].append(ran)
            say(f"memory, round {number + 1} of {rounds}: {count:,} tenants, {ran.peak_mib:.1f} MiB")
    return {count: results[count] for count in counts}


@contextmanager
def _others(installed: Installation) -> Generator[list[str]]:
    """Yield a list that at the end says how much of the machine programs took that have no part in this."""

    def used() -> float:
        return busy_seconds() - cpu_seconds([os.getpid(), *family(installed.postmaster)])

    lines: list[str] = []
    started, before = time.monotonic(), used()
    yield lines
    share = (used() - before) / (time.monotonic() - started) / (os.cpu_count() or 1)
    lines.append(f"other programs took {max(share, 0):.0%} of the machine meanwhile")


def _conditions(given: argparse.Namespace, installed: Installation) -> list[str]:
    memory = " and ".join(f"{count:,}" for count in given.memory_tenants)
    return [
        f"{processor()}; {len(os.sched_getaffinity(0))} cores, which those that are measured share with PostgreSQL",
        f"Python {sys.version.split()[0]}; PostgreSQL {installed.version}, fsync off",
        f"upgrades over {given.jobs} connections: medians of {given.rounds} rounds",
        f"new tenants over one connection: medians of {given.turns} turns of {TURN}",
        f"nothing to do: median of {given.idle_runs} processes; memory: of {given.memory_rounds} over {memory} tenants",
        "by hand there is no lease, no ledger and no word to other processes, by Alembic no rights nor registry either",
    ]


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks migrate", description=__doc__)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--tenants", type=int, default=1000, help="to upgrade (%(default)s)")
    parser.add_argument("--jobs", type=int, default=cores, help="connections (as many as cores: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of upgrades (%(default)s)")
    parser.add_argument(
        "--processes", type=int, default=20, help="tenants with a process of Alembic each (%(default)s)"
    )
    parser.add_argument(
        "--commands", type=int, default=100, help="tenants with a command of Alembic each, in one process (%(default)s)"
    )
    parser.add_argument("--turns", type=int, default=20, help=f"of {TURN} new tenants by each (%(default)s)")
    parser.add_argument("--idle-tenants", type=int, default=5000, help="of a run with nothing to do (%(default)s)")
    parser.add_argument("--idle-runs", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--memory-tenants", default="100/1000", help="two numbers or more, to compare (%(default)s)")
    parser.add_argument("--memory-rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--short", action="store_true", help="only show that it works: few tenants, one round")
    parser.add_argument("--output", type=Path, help="a folder for migrate.md")
    given = parser.parse_args(arguments)
    if given.short:
        given.tenants, given.rounds, given.processes, given.commands, given.turns = 24, 1, 1, 2, 1
        given.idle_tenants, given.idle_runs, given.memory_tenants, given.memory_rounds = 50, 1, "2/4", 1
    given.memory_tenants = sorted({int(count) for count in given.memory_tenants.split("/")})
    made = 2 * (given.turns * TURN + 1)
    if given.tenants < max(made, given.processes, given.commands):
        parser.error(f"--tenants must be {made} at least, for --turns makes so many, and no fewer than Alembic takes")
    if given.idle_tenants < given.tenants:
        parser.error("--idle-tenants must be --tenants at least")
    return given
