"""`python -m benchmarks archive`: how long one tenant takes to leave and to come back, beside pg_dump and psql.

The same tenant, alone and among many others, who shall make no difference.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvloop

from benchmarks.fleet import Fleet
from benchmarks.installation import installation
from benchmarks.migrate import fleet_of
from benchmarks.progress import say
from leasehold.core.actor import Actor
from leasehold.core.database import platform_session
from leasehold.embedded.binaries import find_binaries
from leasehold.main import build_process
from leasehold.platform.archives.service import ArchiveService
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


@dataclass(slots=True)
class Subject:
    """The tenant that is measured, and how many others there are."""

    others: int
    fleet: Fleet
    service: ArchiveService
    folder: Path
    slug: str
    schema: str
    seconds: dict[str, list[float]] = field(default_factory=lambda: {step: list[float]() for step in _STEPS})
    """Of each round, by what was done."""

    @property
    def archive(self) -> Path:
        """What it leaves in."""
        return self.folder / "tenant.archive"

    @property
    def dump(self) -> Path:
        """What pg_dump makes of it."""
        return self.folder / "tenant.sql"

    async def go_round(self, number: int) -> None:
        """Let it leave and come back, in our way and in theirs."""
        seconds, fleet = self.seconds, self.fleet
        self.archive.unlink(missing_ok=True)
        exporting = self.service.export(self.slug, self.archive, passphrase=_PASSPHRASE, by=_BY)
        await _time(seconds["export"], exporting)
        await _time(seconds["pg_dump"], _run("pg_dump", "-n", self.schema, "-f", self.dump, fleet.owner_url))
        copy = f"copy-{number}"
        loading = self.service.load(self.archive, passphrase=_PASSPHRASE, to=Destination(slug=copy), by=_BY)
        await _time(seconds["import"], loading)
        (made,) = await fleet.fetch("SELECT id, schema_name FROM platform.tenants WHERE slug = $1", copy)
        await fleet.fetch(f"DROP SCHEMA {quoted(made['schema_name'])} CASCADE")
        await fleet.fetch(f"DROP ROLE {quoted(role_name(made['id']))}")
        await fleet.fetch(_FORGET, made["id"])
        await fleet.fetch(f"DROP SCHEMA {quoted(self.schema)} CASCADE")
        await _time(seconds["psql"], _run("psql", *_OPTIONS, "-f", self.dump, fleet.owner_url))
        told = ", ".join(f"{step} {seconds[step][-1]:.2f} s" for step in _STEPS)
        say(f"round {number + 1}, {self.others} others: {told}")


async def _measure(counts: Sequence[int], *, items: int, rounds: int) -> str:
    """Measure all at once, in turns: what else the machine does meanwhile, it does to all of them."""
    async with AsyncExitStack() as stack:
        subjects = [await _subject(stack, count, items=items) for count in counts]
        for number in range(rounds):
            start = number % len(subjects)
            for subject in [*subjects[start:], *subjects[:start]]:
                await subject.go_round(number)
        version, today = subjects[0].fleet.installed.version, f"{datetime.now(UTC):%Y-%m-%d}"
        parts = [
            "# What an archive costs",
            f"{today}, PostgreSQL {version}, fsync off, {items} items, seconds, median of {rounds}.",
            _table(subjects),
        ]
    return "\n\n".join(parts)


async def _subject(stack: AsyncExitStack, others: int, *, items: int) -> Subject:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leasehold-bench-")))
    installed = await stack.enter_async_context(installation(folder / "postgres", tenants=others + 1, items=1, pool=4))
    fleet = fleet_of(installed, folder, jobs=1)
    process = build_process(fleet.settings)
    stack.push_async_callback(process.database.close)
    stack.push_async_callback(process.owner.close)
    stack.callback(process.passwords.close)
    (row,) = await fleet.fetch("SELECT slug, schema_name FROM platform.tenants ORDER BY id LIMIT 1")
    await fleet.fetch(_FILL.format(schema=quoted(row["schema_name"]), items=items))
    await fleet.fetch(f"VACUUM (ANALYZE) {quoted(row['schema_name'])}.items")
    service = ArchiveService(partial(platform_session, process.database), process.exporter, process.importer)
    return Subject(others, fleet, service, folder, row["slug"], row["schema_name"])


async def _time(seconds: list[float], work: Awaitable[object]) -> None:
    started = time.perf_counter()
    await work
    seconds.append(time.perf_counter() - started)


async def _run(program: str, *arguments: str | Path) -> None:
    finished = await asyncio.create_subprocess_exec(find_binaries(18).program(program), *arguments)
    if await finished.wait():
        raise RuntimeError(f"{program} failed")


def _table(subjects: Sequence[Subject]) -> str:
    lines = [
        "| others | export | pg_dump | export / pg_dump | import | psql | import / psql | archive MB | dump MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for subject in subjects:
        export, dump, load, psql = (statistics.median(subject.seconds[step]) for step in _STEPS)
        files = (subject.archive, subject.dump)
        sizes = " | ".join(f"{file.stat().st_size / 1_000_000:.1f}" for file in files)
        lines.append(
            f"| {subject.others} | {export:.3f} | {dump:.3f} | {export / dump:.2f} "
            f"| {load:.3f} | {psql:.3f} | {load / psql:.2f} | {sizes} |"
        )
    alone, *crowds = subjects
    for crowd in crowds:
        told = ", ".join(f"{step} {_ratio(crowd.seconds[step], alone.seconds[step])}" for step in _STEPS)
        lines.append(f"\n{crowd.others} others / {alone.others} others: {told}")
    return "\n".join(lines)


def _ratio(among: Sequence[float], alone: Sequence[float]) -> str:
    """Return the median of the rounds' own ratios, and between which they lie."""
    ratios = sorted(one / other for one, other in zip(among, alone, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
