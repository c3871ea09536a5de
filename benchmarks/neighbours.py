"""`python -m benchmarks neighbours`: what quiet tenants notice of a noisy one, with and without what holds it back.

Quiet tenants ask at a fixed rate, each on a connection of its own, and latency is counted from when a request was due:
who has to wait before it can ask has waited too.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import uvloop

from benchmarks.installation import Installation, installation
from benchmarks.machine import family, pin, pinned, processor, split_cores
from benchmarks.peers import PEERS, ROOT, Peer
from benchmarks.progress import say
from benchmarks.servers import Server, serving
from benchmarks.traffic import Tokens, host_of, rounds_of
from leasehold.tenancy.names import quoted, schema_name

_SERVERS = (
    Peer("leasehold", "held back, as by default", PEERS[0].command, login="app"),
    Peer(
        "leasehold_open",
        "not held back",
        PEERS[0].command,
        login="app",
        settings={"LEASEHOLD_TENANT_SHARE": "1", "LEASEHOLD_STATEMENT_TIMEOUT_MS": "0"},
    ),
)
_MORE_ITEMS = """
INSERT INTO {schema}.items (id, title, description, created_at, updated_at)
SELECT gen_random_uuid(), 'noise ' || n, repeat('oak table ' || n % 97 || ' ', 20), now(), now()
  FROM generate_series(1, $1) n
"""
_Latencies = list[float]


@dataclass(frozen=True, slots=True)
class Noise:
    """What the noisy tenant does."""

    title: str
    connections: int
    requests: tuple[str, ...]
    """Without their Host and Authorization, behind the first line."""


def _noises() -> Mapping[str, Noise]:
    read = "GET /v1/items?limit=20 HTTP/1.1\r\n{head}\r\n"
    write = _post("/v1/items", {"title": "noise"})
    # Words that are in all items: each of them is looked at, and sorted by how old it is.
    slow = tuple(f"GET /v1/items?q=oak+table+{n}&limit=100 HTTP/1.1\r\n{{head}}\r\n" for n in range(7))
    big = _post("/v1/items/bulk", {"items": [{"title": f"noise {n}", "description": "y" * 850} for n in range(1000)]})
    return {
        "reads": Noise("a flood of reads, most over its rate", 64, (read,)),
        "writes": Noise("a flood of reads and writes, most over its rate", 64, (write, read)),
        "slow": Noise("slow searches", 32, slow),
        "bodies": Noise("bulks with bodies of 900 KB", 8, (big,)),
        "all": Noise("all of it", 64, (read, *slow, write, big)),
    }


def _post(path: str, body: object) -> str:
    text = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\n{{head}}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head + text


def main(arguments: list[str]) -> None:
    """Measure, print the table, and write it where a folder is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks neighbours", description=__doc__)
    parser.add_argument("--tenants", type=int, default=100, help="one of them is noisy (%(default)s)")
    parser.add_argument(
        "--rate", type=float, default=200, help="requests/s of all quiet tenants together (%(default)s)"
    )
    parser.add_argument("--items", type=int, default=100_000, help="that the noisy one has (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--only", default="", help="kinds of noise, with commas")
    parser.add_argument("--pool", type=int, default=12, help="connections of a server (%(default)s)")
    parser.add_argument("--short", action="store_true", help="only show that it works")
    parser.add_argument("--output", type=Path, help="a folder for neighbours.md")
    given = parser.parse_args(arguments)
    if given.short:
        given.tenants, given.rate, given.items, given.seconds, given.rounds = 4, 40, 1_000, 0.5, 1
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        table = runner.run(_measure(given))
    print(table)
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "neighbours.md").write_text(table + "\n")


async def _measure(given: argparse.Namespace) -> str:
    server_cores, other_cores = split_cores()
    noises = {name: noise for name, noise in _noises().items() if not given.only or name in given.only.split(",")}
    with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as name:
        folder = Path(name)
        say(f"making {given.tenants} tenants")
        async with installation(folder / "pg", tenants=given.tenants, items=100, pool=given.pool) as installed:
            await _fill(installed, given.items)
            with serving(_SERVERS, installed, folder=folder, cores=server_cores, pool=given.pool) as servers:
                pin([*family(installed.postmaster), os.getpid()], other_cores)
                tokens = await Tokens(servers[0].port, installed.tenants).fresh()
                found: dict[tuple[str, str], list[_Latencies]] = defaultdict(list)
                answered: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
                for number in range(given.rounds + 1):
                    say(f"round {number} of {given.rounds}" if number else "warming up")
                    for kind in ["quiet", *noises]:
                        for server in servers:
                            key = server.peer.name, kind
                            latencies, statuses = await _one(
                                given, server, installed, tokens, noises.get(kind), other_cores, number
                            )
                            if number:
                                found[key].append(latencies)
                                answered[key].update(statuses)
    return _table(given, servers, noises, found, answered)


async def _one(
    given: argparse.Namespace,
    server: Server,
    installed: Installation,
    tokens: Mapping[str, str],
    noise: Noise | None,
    cores: set[int],
    number: int,
) -> tuple[_Latencies, Counter[str]]:
    seconds = given.seconds if number else min(given.seconds, 3.0)
    if noise is None:
        return await _quiet(given, server.port, installed, tokens, seconds), Counter()
    noisy = installed.tenants[0]
    head = f"Host: {host_of(noisy.slug)}\r\nAuthorization: Bearer {tokens[noisy.slug]}\r\n"
    lines = "\n".join(json.dumps(request.replace("{head}", head)) for request in noise.requests)
    command = [sys.executable, "-m", "benchmarks.noise", str(server.port), str(noise.connections), str(seconds + 1)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=pinned(cores)
    )
    made = asyncio.create_task(process.communicate(lines.encode()))
    try:
        await asyncio.sleep(0.7)  # it has to start
        latencies = await _quiet(given, server.port, installed, tokens, seconds - 0.2)
        output, _ = await made
    finally:
        if process.returncode is None:
            process.kill()
    await asyncio.sleep(0.3)
    return latencies, Counter(json.loads(output))


async def _quiet(
    given: argparse.Namespace, port: int, installed: Installation, tokens: Mapping[str, str], seconds: float
) -> _Latencies:
    tenants = installed.tenants[1:]
    requests = rounds_of(tenants, installed.item_ids, tokens)
    latencies: _Latencies = []
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in tenants]
    locks = [asyncio.Lock() for _ in tenants]
    tasks: set[asyncio.Task[None]] = set()

    async def ask(place: int, request: bytes, due: float) -> None:
        reader, writer = connections[place]
        async with locks[place]:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r")[0]))
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"a quiet tenant was refused: {head.decode()}")
        latencies.append(time.perf_counter() - due)

    started = time.perf_counter()
    for turn in range(int(seconds * given.rate)):
        due = started + turn / given.rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(ask(turn % len(tenants), next(requests), due))
        tasks.add(task)
    await asyncio.gather(*tasks)
    for _, writer in connections:
        writer.close()
    return latencies


async def _fill(installed: Installation, items: int) -> None:
    owner = await asyncpg.connect(installed.owner_url)
    try:
        tenant_id = await owner.fetchval("SELECT id FROM platform.tenants WHERE slug = $1", installed.tenants[0].slug)
        schema = quoted(schema_name(tenant_id))
        await owner.execute(_MORE_ITEMS.format(schema=schema), items)
        await owner.execute(f"VACUUM (ANALYZE) {schema}.items")
    finally:
        await owner.close()


def _table(
    given: argparse.Namespace,
    servers: list[Server],
    noises: Mapping[str, Noise],
    found: Mapping[tuple[str, str], list[_Latencies]],
    answered: Mapping[tuple[str, str], Counter[str]],
) -> str:
    conditions = (
        f"{processor()}; {given.tenants - 1} quiet tenants with {given.rate:g} requests/s together, one noisy one of "
        f"{given.items:,} items; one server process, {given.pool} connections; medians of {given.rounds} rounds of "
        f"{given.seconds:g} s"
    )
    lines = [
        conditions,
        "",
        "| the noisy one | server | quiet p50 | quiet p99 | of p99 alone | answers to the noisy one |",
        "|---|---|---|---|---|---|",
    ]
    for kind in ["quiet", *noises]:
        for server in servers:
            name = server.peer.name
            p50, p99 = _percentiles(found[name, kind])
            _, alone = _percentiles(found[name, "quiet"])
            told = ", ".join(f"{count:,} of {status}" for status, count in sorted(answered[name, kind].items()))
            title = noises[kind].title if kind in noises else "nothing"
            lines.append(
                f"| {title} | {server.peer.title} | {p50:.1f} ms | {p99:.1f} ms | {p99 / alone:.1f}x | {told} |"
            )
    return "\n".join(lines)


def _percentiles(rounds: list[_Latencies]) -> tuple[float, float]:
    cuts = [statistics.quantiles(latencies, n=100, method="inclusive") for latencies in rounds]
    return statistics.median(cut[49] for cut in cuts) * 1000, statistics.median(cut[98] for cut in cuts) * 1000
