"""`python -m benchmarks provision`: what it costs to claim a vacancy, to build a tenant, and to purge one.

Each beside SQL that was written by hand, in turns of a few; and how long fifty wait who sign up at once.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import uvloop

from benchmarks import fleet_report as report
from benchmarks.fleet import Fleet, Measured, measured
from benchmarks.installation import installation
from benchmarks.migrate import fleet_of
from benchmarks.progress import say
from benchmarks.provisioning import TURN, ByHand, in_turns
from leasehold.cli.session import run_with
from leasehold.core.actor import Actor
from leasehold.core.database import platform_session
from leasehold.core.ids import new_id
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy.names import quoted, role_name, schema_name

_BY = Actor.operator("benchmarks")
_TIDY_EVERY = 5
_CLAIM_BY_HAND = """\
BEGIN;
WITH claimed AS (
    UPDATE platform.tenants SET slug = 'by-hand-{id}', name = 'Bench', state = 'active', updated_at = now()
     WHERE id = (SELECT id FROM platform.tenants WHERE state = 'vacant' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id
)
INSERT INTO platform.registry_changes (id, tenant_id, xact)
SELECT gen_random_uuid(), id, pg_current_xact_id()::text::bigint FROM claimed;
SELECT pg_notify('leasehold_registry', '');
COMMIT"""
_PURGE_BY_HAND = """\
BEGIN;
DROP SCHEMA {schema} CASCADE;
DROP ROLE {role};
UPDATE platform.tenants SET state = 'purged', slug = 'x{id}', name = '' WHERE id = '{id}';
COMMIT"""
_DELETED = "UPDATE platform.tenants SET state = 'deleted', purge_at = now() WHERE id = $1"

Turns = Mapping[str, Callable[[int], Awaitable[None]]]
"""Those that are compared, each with what does so many."""


def main(arguments: list[str]) -> None:
    """Measure, print the tables, and write them where a folder is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks provision")
    parser.add_argument("--short", action="store_true", help="a few turns, to see that it runs")
    parser.add_argument("--output", type=Path, help="write provision.md into this folder")
    given = parser.parse_args(arguments)
    text = uvloop.run(_measure(turns=1 if given.short else 12, rounds=1 if given.short else 20))
    print(text)
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "provision.md").write_text(f"{text}\n")


async def _measure(*, turns: int, rounds: int) -> str:
    with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as name:
        folder = Path(name)
        async with installation(folder / "postgres", tenants=0, items=0, pool=12) as installed:
            fleet = fleet_of(installed, folder, jobs=1)
            built = await in_turns(fleet, await ByHand.written(fleet), turns)
            found: dict[str, dict[str, list[Measured]]] = {}
            waits: list[float] = []

            async def work(process: Process) -> None:
                found["claim"] = await _claims(fleet, process, turns)
                found["purge"] = await _purges(fleet, process, turns)
                waits.extend(await _at_once(fleet, process, rounds))

            await run_with(fleet.settings, work)
    parts = [
        "# What it costs to make and to destroy a tenant",
        f"{datetime.now(UTC):%Y-%m-%d}, PostgreSQL {installed.version}, fsync off, over one connection each.",
        "## A vacancy is claimed",
        report.provisioning(found["claim"]),
        "## A tenant is built",
        report.provisioning(built),
        "## A tenant is purged",
        report.provisioning(found["purge"]),
        f"## {AT_ONCE} who sign up at once, {rounds} times",
        _waited(waits),
    ]
    return "\n\n".join(parts)


AT_ONCE = 50


async def _claims(fleet: Fleet, process: Process, turns: int) -> dict[str, list[Measured]]:
    connection = await asyncpg.connect(fleet.settings.database_url.get_secret_value())

    async def ours(count: int) -> None:
        for _ in range(count):
            await _sign_up(process)

    async def theirs(count: int) -> None:
        for _ in range(count):
            await connection.execute(_CLAIM_BY_HAND.format(id=new_id().hex))

    async def prepare(count: int) -> None:
        for _ in range(count):
            await process.provisioner.make_vacancy()

    try:
        return await _compared(fleet, "claims", turns, {"leasehold": ours, "by_hand": theirs}, prepare)
    finally:
        connection.terminate()


async def _purges(fleet: Fleet, process: Process, turns: int) -> dict[str, list[Measured]]:
    connection, doomed = await asyncpg.connect(fleet.owner_url), list[UUID]()

    async def ours(count: int) -> None:
        for _ in range(count):
            await process.purger.purge(doomed.pop(), by=_BY)

    async def theirs(count: int) -> None:
        for _ in range(count):
            tenant_id = doomed.pop()
            names = {"schema": quoted(schema_name(tenant_id)), "role": quoted(role_name(tenant_id))}
            await connection.execute(_PURGE_BY_HAND.format(id=tenant_id.hex, **names))

    async def prepare(count: int) -> None:
        for _ in range(count):
            made = await process.provisioner.provision(slug=f"doomed-{new_id().hex}", name="Bench", by=_BY)
            await connection.execute(_DELETED, made.id)
            doomed.append(made.id)

    try:
        return await _compared(fleet, "purges", turns, {"leasehold": ours, "by_hand": theirs}, prepare)
    finally:
        connection.terminate()


async def _compared(
    fleet: Fleet, what: str, turns: int, both: Turns, prepare: Callable[[int], Awaitable[None]]
) -> dict[str, list[Measured]]:
    """Let both do so many in turn; what they need is made before, and not measured."""
    results: dict[str, list[Measured]] = defaultdict(list)
    await prepare(len(both))
    for do in both.values():
        await do(1)  # connections are opened, statements prepared
    for turn in range(turns):
        if turn % _TIDY_EVERY == 0:
            say(f"{what}, turn {turn + 1} of {turns}")
            await fleet.tidy()
        await prepare(TURN * len(both))
        for name, do in list(both.items())[:: -1 if turn % 2 else 1]:
            results[name].append(await measured(fleet, TURN, lambda do=do: do(TURN)))
    return results


async def _at_once(fleet: Fleet, process: Process, rounds: int) -> list[float]:
    """Return how long each waited, in seconds."""

    async def timed() -> float:
        started = time.perf_counter()
        await _sign_up(process)
        return time.perf_counter() - started

    waits: list[float] = []
    for number in range(-1, rounds):
        for _ in range(AT_ONCE):
            await process.provisioner.make_vacancy()
        if number % _TIDY_EVERY == 0:
            say(f"{AT_ONCE} at once, round {number + 1} of {rounds}")
            await fleet.tidy()
        waited = await asyncio.gather(*(timed() for _ in range(AT_ONCE)))
        waits += waited if number >= 0 else []  # the first round prepares the statements on all connections
    return waits


async def _sign_up(process: Process) -> None:
    async with platform_session(process.database) as session:
        service = TenantService(session, process.provisioner, base_domain="localhost", vacancies=0)
        await service.provision(slug=f"ours-{new_id().hex}", name="Bench", by=_BY)


def _waited(waits: list[float]) -> str:
    cuts = statistics.quantiles(waits, n=100)
    figures = [min(waits), statistics.median(waits), cuts[98], max(waits)]
    return (
        "| fastest | median | p99 | slowest |\n|---:|---:|---:|---:|\n| "
        + " | ".join(f"{seconds * 1000:.1f} ms" for seconds in figures)
        + " |"
    )
