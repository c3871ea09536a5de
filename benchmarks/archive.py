"""`python -m benchmarks archive`: how long one tenant takes to leave and to come back, beside pg_dump and psql.

The same tenant, alone and among many others, who shall make no difference.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvloop

from benchmarks.fleet import Fleet
from benchmarks.installation import installation
from benchmarks.migrate import fleet_of
from benchmarks.progress import say
from leasehold.cli.session import run_with
from leasehold.core.actor import Actor
from leasehold.core.database import platform_session
from leasehold.embedded.binaries import find_binaries
from leasehold.platform.archives.service import ArchiveService
from leasehold.process import Process
from leasehold.tenancy.archive.importing import Destination
from leasehold.tenancy.names import quoted, role_name

_BY = Actor.operator("benchmarks")
_PASSPHRASE = "only for the benchmark"
_FILL = """
INSERT INTO {schema}.items (id, title, description, tags, created_at, updated_at)
SELECT gen_random_uuid(), 'Desk ' || n, md5(n::text) || repeat(' Oak, 140 cm wide', 8), ARRAY['oak', n::text],
       now(), now()
  FROM generate_series(1, {items}) n
"""
_FORGET = "DELETE FROM platform.tenants WHERE id = $1"
_OPTIONS = ("-q", "-1", "-v", "ON_ERROR_STOP=1", "-o", os.devnull)
_STEPS = ("export", "pg_dump", "import", "psql")

Timings = dict[str, list[float]]
"""Seconds of each round, by what was done."""


def main(arguments: list[str]) -> None:
    """Measure, print the table, and write it where a folder is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks archive")
    parser.add_argument("--short", action="store_true", help="few rows, few others, once: to see that it runs")
    parser.add_argument("--others", default="0,1000", help="how many other tenants there are, with commas")
    parser.add_argument("--items", type=int, default=100_000, help="rows of the tenant")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="write archive.md into this folder")
    given = parser.parse_args(arguments)
    counts = [0, 3] if given.short else [int(count) for count in given.others.split(",")]
    items, rounds = (500, 1) if given.short else (given.items, given.rounds)
    text = uvloop.run(_measure(counts, items=items, rounds=rounds))
    print(text)
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "archive.md").write_text(f"{text}\n")


async def _measure(counts: Sequence[int], *, items: int, rounds: int) -> str:
    found: dict[int, Timings] = {}
    version = ""
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as name:
            folder = Path(name)
            async with installation(folder / "postgres", tenants=count + 1, items=1, pool=4) as installed:
                fleet, version = fleet_of(installed, folder, jobs=1), installed.version
                found[count] = await run_with(
                    fleet.settings, partial(_timed, fleet, folder, items=items, rounds=rounds)
                )
    parts = [
        "# What an archive costs",
        f"{datetime.now(UTC):%Y-%m-%d}, PostgreSQL {version}, fsync off, {items} items, seconds, median of {rounds}.",
        _table(found),
    ]
    return "\n\n".join(parts)


async def _timed(fleet: Fleet, folder: Path, process: Process, *, items: int, rounds: int) -> Timings:
    (row,) = await fleet.fetch("SELECT id, slug, schema_name FROM platform.tenants ORDER BY id LIMIT 1")
    schema, slug = row["schema_name"], row["slug"]
    await fleet.fetch(_FILL.format(schema=quoted(schema), items=items))
    await fleet.fetch(f"VACUUM (ANALYZE) {quoted(schema)}.items")
    service = ArchiveService(partial(platform_session, process.database), process.exporter, process.importer)
    archive, dump = folder / "tenant.archive", folder / "tenant.sql"
    timings: Timings = defaultdict(list)
    for number in range(rounds):
        archive.unlink(missing_ok=True)
        await _time(timings["export"], service.export(slug, archive, passphrase=_PASSPHRASE, by=_BY))
        await _time(timings["pg_dump"], _run("pg_dump", "-n", schema, "-f", dump, fleet.owner_url))
        copy = f"copy-{number}"
        loading = service.load(archive, passphrase=_PASSPHRASE, to=Destination(slug=copy), by=_BY)
        await _time(timings["import"], loading)
        (made,) = await fleet.fetch("SELECT id, schema_name FROM platform.tenants WHERE slug = $1", copy)
        await fleet.fetch(f"DROP SCHEMA {quoted(made['schema_name'])} CASCADE")
        await fleet.fetch(f"DROP ROLE {quoted(role_name(made['id']))}")
        await fleet.fetch(_FORGET, made["id"])
        await fleet.fetch(f"DROP SCHEMA {quoted(schema)} CASCADE")
        await _time(timings["psql"], _run("psql", *_OPTIONS, "-f", dump, fleet.owner_url))
        say(f"round {number + 1} of {rounds}: " + ", ".join(f"{step} {timings[step][-1]:.2f} s" for step in _STEPS))
    timings["sizes"] = [archive.stat().st_size, dump.stat().st_size]
    return timings


async def _time(seconds: list[float], work: Awaitable[object]) -> None:
    started = time.perf_counter()
    await work
    seconds.append(time.perf_counter() - started)


async def _run(program: str, *arguments: str | Path) -> None:
    finished = await asyncio.create_subprocess_exec(find_binaries(18).program(program), *arguments)
    if await finished.wait():
        raise RuntimeError(f"{program} failed")


def _table(found: dict[int, Timings]) -> str:
    lines = [
        "| others | export | pg_dump | export / pg_dump | import | psql | import / psql | archive MB | dump MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for count, timings in found.items():
        export, dump, load, psql = (statistics.median(timings[step]) for step in _STEPS)
        sizes = " | ".join(f"{size / 1_000_000:.1f}" for size in timings["sizes"])
        lines.append(
            f"| {count} | {export:.3f} | {dump:.3f} | {export / dump:.2f} "
            f"| {load:.3f} | {psql:.3f} | {load / psql:.2f} | {sizes} |"
        )
    alone, *crowds = found
    for crowd in crowds:
        ratios = (statistics.median(found[crowd][step]) / statistics.median(found[alone][step]) for step in _STEPS)
        named = ", ".join(f"{step} {ratio:.2f}" for step, ratio in zip(_STEPS, ratios, strict=True))
        lines.append(f"\n{crowd} others / {alone} others: {named}")
    return "\n".join(lines)
