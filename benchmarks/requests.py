"""`python -m benchmarks requests`: what a request costs, beside the limits of the machine and beside its peers.

All servers stand at once and are measured in turn, so that all meet the same machine; figures are medians over rounds.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import uvloop

from benchmarks import report
from benchmarks.environment import make_environment
from benchmarks.installation import Installation, installation
from benchmarks.load import load
from benchmarks.machine import busy_seconds, cpu_seconds, family, pin, processor, split_cores
from benchmarks.peers import BENCH_PYTHON, PEERS, ROOT, Peer
from benchmarks.progress import say
from benchmarks.report import Case, Measured, Results
from benchmarks.servers import Server, serving
from benchmarks.traffic import OPERATIONS, Tokens, demand_right_answers, requests_of


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, and how long."""

    peers: tuple[Peer, ...]
    spreads: tuple[int, ...]
    """Over how many of the tenants the requests go; each is measured."""
    tenants: int
    items: int
    connections: int
    pool: int
    seconds: float
    warm_up: float
    rounds: int
    plot: bool
    output: Path | None


def main(arguments: list[str]) -> None:
    """Measure, print the tables, and write them with a plot where a folder is named."""
    options = _options(arguments)
    if any(peer.needs_environment for peer in options.peers) or (options.plot and options.output):
        make_environment()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(_measure(options))
    table = report.markdown(results)
    print(table)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "requests.md").write_text(table)
        (options.output / "requests.json").write_bytes(report.encoded(results))
        if options.plot:
            plot = [str(BENCH_PYTHON), "-m", "benchmarks.plot", str(options.output.resolve())]
            subprocess.run(plot, cwd=ROOT, check=True)


async def _measure(options: Options) -> Results:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    server_cores, other_cores = split_cores()
    with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as name:
        folder = Path(name)
        say(f"making {options.tenants} tenants of {options.items} items")
        async with installation(
            folder / "postgres", tenants=options.tenants, items=options.items, pool=options.pool
        ) as installed:
            with serving(options.peers, installed, folder=folder, cores=server_cores, pool=options.pool) as servers:
                pin([*family(installed.postmaster), os.getpid()], other_cores)
                with _others(installed, servers) as others:
                    measured = await _rounds(options, installed, servers)
            return Results(
                conditions=[*_conditions(options, installed, server_cores, other_cores), *others],
                titles={peer.name: peer.title for peer in options.peers},
                measured=measured,
            )


async def _rounds(
    options: Options, installed: Installation, servers: list[Server]
) -> dict[Case, dict[str, list[Measured]]]:
    leasehold = next((server.port for server in servers if server.peer.name == "leasehold"), None)
    tokens = Tokens(leasehold, installed.tenants)
    for server in servers:
        await demand_right_answers(server.peer.name, server.port, installed, await tokens.fresh())
    cases = [Case(operation, spread) for spread in options.spreads for operation in OPERATIONS]
    measured: dict[Case, dict[str, list[Measured]]] = {case: defaultdict(list) for case in cases}
    known: dict[str, str] = {}
    requests: dict[Case, list[bytes]] = {}
    for number in range(options.rounds + 1):
        say(f"round {number} of {options.rounds}" if number else "warming up")
        for case in cases:
            if (fresh := await tokens.fresh()) is not known or case not in requests:
                known = fresh
                requests = {
                    each: requests_of(each.operation, installed.tenants[: each.spread], installed.item_ids, known)
                    for each in cases
                }
            # Each round begins with another server: whoever comes first would always meet the same neighbour.
            start = number % len(servers)
            for server in servers[start:] + servers[:start]:
                seconds = options.seconds if number else options.warm_up
                one = await _sample(server, installed, requests[case], options.connections, seconds)
                if number:
                    measured[case][server.peer.name].append(one)
    return measured


async def _sample(
    server: Server, installed: Installation, requests: list[bytes], connections: int, seconds: float
) -> Measured:
    served, stored = server.pids, family(installed.postmaster)
    before = cpu_seconds(served), cpu_seconds(stored)
    sample = await load(server.port, cycle(requests), connections=connections, seconds=seconds)
    after = cpu_seconds(served), cpu_seconds(family(installed.postmaster))
    server_us, postgres_us = ((then - now) / sample.requests * 1e6 for now, then in zip(before, after, strict=True))
    return Measured(sample.per_second, server_us, postgres_us, sample.p50_ms, sample.p99_ms)


@contextmanager
def _others(installed: Installation, servers: list[Server]) -> Generator[list[str]]:
    """Yield a list that at the end says how much of the machine programs took that have no part in this."""

    def used() -> float:
        pids = [os.getpid(), *family(installed.postmaster)]
        return busy_seconds() - cpu_seconds([*pids, *(pid for server in servers for pid in server.pids)])

    conditions: list[str] = []
    started, before = time.monotonic(), used()
    yield conditions
    share = (used() - before) / (time.monotonic() - started) / (os.cpu_count() or 1)
    conditions.append(f"other programs took {max(share, 0):.0%} of the machine meanwhile")


def _conditions(options: Options, installed: Installation, server_cores: set[int], other_cores: set[int]) -> list[str]:
    place = (
        f"servers on core {min(server_cores)}, PostgreSQL and the load on core {min(other_cores)}"
        if server_cores != other_cores
        else "all on one core"
    )
    return [
        f"{processor()}; {place}",
        f"Python {sys.version.split()[0]}; PostgreSQL {installed.version}, fsync off",
        f"{options.tenants} tenants of {options.items} items",
        f"{options.connections} connections; {options.pool} of each server to the database",
        f"medians of {options.rounds} rounds of {options.seconds:g} s",
        "Leasehold checks a token, finds the tenant, demands scopes and writes an access log; its peers do not",
    ]


def _options(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks requests", description=__doc__)
    parser.add_argument(
        "--tenants", default="100", help="how many, or several numbers to compare: 1/100/1000 (%(default)s)"
    )
    parser.add_argument("--hot", action="store_true", help="let all requests go to one of the tenants")
    parser.add_argument("--items", type=int, default=1000, help="of each tenant (%(default)s)")
    parser.add_argument("--connections", type=int, default=32, help="of the load (%(default)s)")
    parser.add_argument("--pool", type=int, default=10, help="connections of each server to the database (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement (%(default)s)")
    parser.add_argument("--warm-up", type=float, help="seconds before the first round; as long as a measurement")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--only", help="servers, with commas: " + ",".join(peer.name for peer in PEERS))
    parser.add_argument("--short", action="store_true", help="only show that it works: small, and no peers to install")
    parser.add_argument("--output", type=Path, help="a folder for requests.md, .json and .png")
    given = parser.parse_args(arguments)
    if given.short:
        given.tenants, given.items, given.connections, given.pool = "3", 10, 4, 4
        given.seconds, given.warm_up, given.rounds = 0.3, 0.1, 1
    names = {peer.name for peer in PEERS if not (given.short and peer.needs_environment)}
    if given.only:
        wanted = set(given.only.split(","))
        if unknown := wanted - {peer.name for peer in PEERS}:
            parser.error(f"there is no server {', '.join(sorted(unknown))}")
        names = wanted
    counts = sorted({int(count) for count in given.tenants.split("/")})
    return Options(
        peers=tuple(peer for peer in PEERS if peer.name in names),
        spreads=(1,) if given.hot else tuple(counts),
        tenants=counts[-1],
        items=given.items,
        connections=given.connections,
        pool=given.pool,
        seconds=given.seconds,
        warm_up=given.seconds if given.warm_up is None else given.warm_up,
        rounds=given.rounds,
        plot=not given.short,
        output=given.output,
    )
