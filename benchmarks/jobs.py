"""`python -m benchmarks jobs`: what a job costs, how soon it starts, and whether one tenant waits for another's.

Beside pgqueuer, and beside the least that a queue can be. All workers stand at once and are measured in turn, so that
all meet the same machine; figures are medians over rounds.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop

from benchmarks import job_report as report
from benchmarks.environment import make_environment
from benchmarks.installation import Installation, installation
from benchmarks.job_measures import Bench, Latency, Rate, owner_of
from benchmarks.job_workers import Worker, working
from benchmarks.machine import busy_seconds, cpu_seconds, family, pin, processor, split_cores
from benchmarks.progress import say
from benchmarks.queues import QUEUES, Queue, Tenant

_TENANTS = "SELECT id, schema_name, role_name FROM platform.tenants ORDER BY id"


def main(arguments: list[str]) -> None:
    """Measure, print the tables, and write them where a folder is named."""
    given = _options(arguments)
    if any(queue.needs_environment for queue in given.queues):
        make_environment()
    given.queues = [queue.prepared() for queue in given.queues]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        text = runner.run(_measure(given))
    print(text)
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "jobs.md").write_text(f"{text}\n")


async def _measure(given: argparse.Namespace) -> str:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    worker_cores, other_cores = split_cores()
    with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as name:
        folder = Path(name)
        say(f"making {given.tenants} tenants")
        async with (
            installation(folder / "postgres", tenants=given.tenants, items=0, pool=4) as installed,
            owner_of(installed) as connection,
        ):
            tenants = [Tenant(number, *row) for number, row in enumerate(await connection.fetch(_TENANTS))]
            for queue in given.queues:
                if queue.install:
                    await connection.execute(queue.install)
            with working(
                given.queues, installed, folder=folder, cores=worker_cores, batch=given.batch, tenants=given.tenants
            ) as workers:
                pin([*family(installed.postmaster), os.getpid()], other_cores)
                benches = [Bench(queue, workers[queue.name], connection, installed, tenants) for queue in given.queues]
                for bench in benches:
                    await bench.ready()
                with _others(installed, list(workers.values())) as others:
                    parts = await _parts(given, benches)
            conditions = [*_conditions(given, installed, worker_cores, other_cores), *others]
    return "\n\n".join(["# What a job costs", "\n".join(f"- {line}" for line in conditions), *parts])


async def _parts(given: argparse.Namespace, benches: Sequence[Bench]) -> list[str]:
    rates: dict[str, list[Rate]] = defaultdict(list)
    idle: dict[str, list[Latency]] = defaultdict(list)
    loaded: dict[str, list[Latency]] = defaultdict(list)
    waits: dict[str, list[float]] = defaultdict(list)
    for number in range(given.rounds + 1):
        say(f"round {number} of {given.rounds}" if number else "warming up")
        # Each round begins with another queue: whoever comes first would always meet the same neighbour.
        start = number % len(benches)
        for bench in [*benches[start:], *benches[:start]]:
            name = bench.queue.name
            rate = await bench.rate(given.jobs)
            say(f"{bench.queue.title}: {rate.per_second:,.0f} jobs/s")
            if not number:
                continue
            rates[name].append(rate)
            idle[name].append(await bench.latency(given.samples, per_second=None))
            loaded[name].append(await bench.latency(given.samples * 4, per_second=given.per_second))
            if number == 1 and not bench.queue.is_limit:
                waits[name] = await bench.wait_beside(given.backlog, given.probes)
    queues: list[Queue] = given.queues
    return [
        f"## {given.jobs:,} jobs that do nothing, of {given.tenants} tenants",
        report.rates(queues, rates),
        "## From COMMIT to start",
        report.latencies(queues, idle, loaded, rate=given.per_second),
        f"## One job beside {given.backlog:,} of another tenant, 1 ms each",
        report.fairness(queues, waits),
    ]


@contextmanager
def _others(installed: Installation, workers: Sequence[Worker]) -> Generator[list[str]]:
    """Yield a list that at the end says how much of the machine programs took that have no part in this."""

    def used() -> float:
        pids = {os.getpid(), *family(installed.postmaster), *(pid for worker in workers for pid in worker.pids)}
        return busy_seconds() - cpu_seconds(list(pids))

    lines: list[str] = []
    started, before = time.monotonic(), used()
    yield lines
    share = (used() - before) / (time.monotonic() - started) / (os.cpu_count() or 1)
    lines.append(f"other programs took {max(share, 0):.0%} of the machine meanwhile")


def _conditions(
    given: argparse.Namespace, installed: Installation, worker_cores: set[int], other_cores: set[int]
) -> list[str]:
    place = (
        f"workers on core {min(worker_cores)}, PostgreSQL and who asks on core {min(other_cores)}"
        if worker_cores != other_cores
        else "all on one core"
    )
    return [
        f"{processor()}; {place}",
        f"Python {sys.version.split()[0]}; PostgreSQL {installed.version}, fsync and autovacuum off",
        f"one process each; up to {given.batch} jobs at once and in a batch",
        f"medians of {given.rounds} rounds; latencies of {given.samples} jobs in each, {given.samples * 4} under load",
        "with a session a job is ticked off in a transaction that is bound to its tenant, so its effects happen once",
        "pgqueuer knows no tenants; it writes two lines of a log for each job and ticks them off by the batch",
    ]


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000, help="that do nothing (%(default)s)")
    parser.add_argument("--tenants", type=int, default=50, help="two or more (%(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="jobs at once of a worker (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--samples", type=int, default=200, help="of latency in a round (%(default)s)")
    parser.add_argument("--per-second", type=float, default=200, help="jobs of the load (%(default)s)")
    parser.add_argument("--backlog", type=int, default=20_000, help="of one tenant (%(default)s)")
    parser.add_argument("--probes", type=int, default=20, help="jobs of others beside it (%(default)s)")
    parser.add_argument("--only", help="queues, with commas: " + ",".join(queue.name for queue in QUEUES))
    parser.add_argument("--short", action="store_true", help="only show that it works: small, and no peers to install")
    parser.add_argument("--output", type=Path, help="a folder for jobs.md")
    given = parser.parse_args(arguments)
    if given.short:
        given.jobs, given.tenants, given.rounds, given.samples = 60, 3, 1, 5
        given.backlog, given.probes, given.per_second = 5000, 2, 50
    names = {queue.name for queue in QUEUES if not (given.short and queue.needs_environment)}
    if given.only:
        wanted = set(given.only.split(","))
        if unknown := wanted - {queue.name for queue in QUEUES}:
            parser.error(f"there is no queue {', '.join(sorted(unknown))}")
        names = wanted
    if given.tenants < 2:
        parser.error("--tenants must be 2 at least, for one must wait beside another")
    given.queues = [queue for queue in QUEUES if queue.name in names]
    return given
