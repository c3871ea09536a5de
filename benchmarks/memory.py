"""`python -m benchmarks memory`: whether memory stays flat while requests go round thousands of tenants.

A backend of PostgreSQL keeps what it learned of every table that it met. So tenants are visited in turn, again and
again, and what the server and PostgreSQL hold is written down every few seconds.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import asyncpg
import uvloop

from benchmarks.held import Seen, look, row, table, verdict
from benchmarks.installation import Installation, installation
from benchmarks.load import load
from benchmarks.machine import family, pin, processor, split_cores
from benchmarks.peers import PEERS
from benchmarks.progress import say
from benchmarks.servers import Server, serving
from benchmarks.traffic import Tokens, demand_right_answers, rounds_of

_LINES = 3


def main(arguments: list[str]) -> None:
    """Measure, print the table and its verdict, and write them where a folder is named."""
    given = _options(arguments)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        text = runner.run(_measure(given))
    print(text)
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "memory.md").write_text(f"{text}\n")


async def _measure(given: argparse.Namespace) -> str:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    server_cores, other_cores = split_cores()
    peers = [peer for peer in PEERS if peer.name == "leasehold"]
    with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as name:
        folder = Path(name)
        say(f"making {given.tenants:,} tenants of {given.items} items")
        async with installation(
            folder / "postgres", tenants=given.tenants, items=given.items, pool=given.pool
        ) as installed:
            with serving(peers, installed, folder=folder, cores=server_cores, pool=given.pool) as servers:
                pin([*family(installed.postmaster), os.getpid()], other_cores)
                seen = await _watch(given, installed, servers[0])
            return "\n\n".join(["# Memory", _conditions(given, installed), table(seen), verdict(seen)])


async def _watch(given: argparse.Namespace, installed: Installation, server: Server) -> list[Seen]:
    """Send requests, stop every few seconds, and write down what is held then. The first line is before them all."""
    owner = await asyncpg.connect(installed.owner_url)
    try:
        seen = [await look(owner, installed, server, seconds=0, requests=0)]
        say("getting a token of each tenant")
        tokens, known, requests = Tokens(server.port, installed.tenants), dict[str, str](), iter(tuple[bytes]())
        await demand_right_answers(server.peer.name, server.port, installed, await tokens.fresh())
        for _ in range(int(given.minutes * 60 / given.every)):
            if (fresh := await tokens.fresh()) is not known:
                known, requests = fresh, rounds_of(installed.tenants, installed.item_ids, fresh)
            sample = await load(server.port, requests, connections=given.connections, seconds=given.every)
            done = seen[-1].seconds + sample.seconds, seen[-1].requests + sample.requests
            seen.append(await look(owner, installed, server, seconds=done[0], requests=done[1]))
            say(row(seen[-1], seen[0]))
    finally:
        await owner.close()
    return seen


def _conditions(given: argparse.Namespace, installed: Installation) -> str:
    lines = [
        f"{processor()}; Python {sys.version.split()[0]}; PostgreSQL {installed.version}",
        f"{given.tenants:,} tenants of {given.items} items, visited in turn; a tenth of the requests POST",
        f"{given.connections} connections; {given.pool} of the server to the database",
        "the first line is the server before its first request, the tokens of all tenants come between it and the next",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=__doc__)
    parser.add_argument("--tenants", type=int, default=5000, help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=3.0, help="of requests (%(default)s)")
    parser.add_argument("--every", type=float, default=15.0, help="seconds between two lines (%(default)s)")
    parser.add_argument("--items", type=int, default=5, help="of each tenant (%(default)s)")
    parser.add_argument("--connections", type=int, default=32, help="of the load (%(default)s)")
    parser.add_argument("--pool", type=int, default=12, help="connections of the server to the database (%(default)s)")
    parser.add_argument("--short", action="store_true", help="only show that it works: few tenants, some seconds")
    parser.add_argument("--output", type=Path, help="a folder for memory.md")
    given = parser.parse_args(arguments)
    if given.short:
        given.tenants, given.minutes, given.every, given.connections, given.pool = 6, 0.05, 0.5, 4, 4
    if int(given.minutes * 60 / given.every) < _LINES:
        parser.error("--minutes must be --every three times at least")
    return given
