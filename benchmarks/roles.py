"""`python -m benchmarks roles`: what thousands of tenant roles cost, and what a GRANT every second adds.

Each GRANT of a membership makes every backend forget which roles it may become. Its next SET ROLE reads all the
memberships of its login again, and there is one for each tenant. So this is the price of making tenants one by one.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from benchmarks.installation import PARAMETERS
from leasehold.embedded import EmbeddedPostgres
from leasehold.tenancy.install import with_login
from leasehold.tenancy.names import APP_ROLE, quoted

_PASSWORD = "only-for-the-benchmark"
_IN_ONE_TRANSACTION = 500
_HEAD = """\
| tenant roles | SET ROLE, nothing granted | p99 | SET ROLE, a GRANT every {every:g} s | p99 | first after a GRANT |
|---:|---:|---:|---:|---:|---:|"""


@dataclass(slots=True)
class Taken:
    """How long bound transactions took to begin, in milliseconds; those that came first after a GRANT apart."""

    all: list[float] = field(default_factory=list)
    after_grant: list[float] = field(default_factory=list)


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks roles", description=__doc__)
    parser.add_argument("--counts", default="1000,5000,20000", help="numbers of roles, with commas (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of one measurement (%(default)s)")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two GRANTs (%(default)s)")
    parser.add_argument("--backends", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--postgres", type=int, choices=(16, 18), default=18)
    given = parser.parse_args(arguments)
    counts = sorted(int(count) for count in given.counts.split(","))
    with (
        tempfile.TemporaryDirectory(prefix="leasehold-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres", major=given.postgres, parameters=PARAMETERS) as admin_url,
    ):
        lines = asyncio.run(_measure(admin_url, counts, given.seconds, given.every, given.backends))
    print(f"PostgreSQL {given.postgres}, {given.backends} backends, {given.seconds:g} s each, medians\n")
    print("\n".join([_HEAD.format(every=given.every), *lines]))


async def _measure(admin_url: str, counts: list[int], seconds: float, every: float, backends: int) -> list[str]:
    admin = await asyncpg.connect(admin_url)
    await admin.execute(f"CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{_PASSWORD}'")
    app_url = with_login(admin_url, user=APP_ROLE, password=_PASSWORD, database="postgres")
    lines: list[str] = []
    made = 0
    try:
        for count in counts:
            print(f"making {count:,} roles", file=sys.stderr, flush=True)
            await _make_roles(admin, made, count)
            made = count
            quiet = await _load(admin, app_url, count, seconds=seconds, every=None, backends=backends)
            granted = await _load(admin, app_url, count, seconds=seconds, every=every, backends=backends)
            lines.append(_line(count, quiet, granted))
    finally:
        await admin.close()
    return lines


async def _make_roles(admin: asyncpg.Connection, start: int, stop: int) -> None:
    for first in range(start, stop, _IN_ONE_TRANSACTION):
        roles = [quoted(_role(number)) for number in range(first, min(first + _IN_ONE_TRANSACTION, stop))]
        created = "; ".join(f"CREATE ROLE {role} NOLOGIN" for role in roles)
        # One statement, as a batch of vacancies would be.
        await admin.execute(f"{created}; GRANT {', '.join(roles)} TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE")


async def _load(
    admin: asyncpg.Connection, app_url: str, count: int, *, seconds: float, every: float | None, backends: int
) -> Taken:
    """Let some backends bind transactions for some seconds, while memberships are granted in between."""
    taken, grants = Taken(), [0]
    connections = [await asyncpg.connect(app_url) for _ in range(backends)]
    for connection in connections:
        await connection.execute(f"BEGIN; SET LOCAL ROLE {quoted(_role(0))}; COMMIT")  # the first reads them all
    deadline = time.perf_counter() + seconds

    async def bind(seed: int, connection: asyncpg.Connection) -> None:
        chance, seen = random.Random(seed), 0
        try:
            while time.perf_counter() < deadline:
                role = quoted(_role(chance.randrange(count)))
                is_first, seen = grants[0] != seen, grants[0]
                started = time.perf_counter()
                await connection.execute(f"BEGIN; SET LOCAL ROLE {role}; COMMIT")
                ms = (time.perf_counter() - started) * 1000
                taken.all.append(ms)
                if is_first:
                    taken.after_grant.append(ms)
                # Far from the machine's limit: a queue in front of PostgreSQL would be measured otherwise.
                await asyncio.sleep(0.005)
        finally:
            await connection.close()

    async def grant() -> None:
        while every is not None and time.perf_counter() + every < deadline:
            await asyncio.sleep(every)
            name = f"lh_new_{count}_{grants[0]}"
            await admin.execute(f"CREATE ROLE {name} NOLOGIN; GRANT {name} TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE")
            grants[0] += 1

    await asyncio.gather(grant(), *(bind(seed, connection) for seed, connection in enumerate(connections)))
    return taken


def _role(number: int) -> str:
    return f"lh_bench_{number}"


def _line(count: int, quiet: Taken, granted: Taken) -> str:
    after = f"{statistics.median(granted.after_grant):.1f} ms" if granted.after_grant else "none"
    cells = [
        f"{count:,}",
        f"{statistics.median(quiet.all):.2f} ms",
        f"{_p99(quiet.all):.2f} ms",
        f"{statistics.median(granted.all):.2f} ms",
        f"{_p99(granted.all):.2f} ms",
        after,
    ]
    return f"| {' | '.join(cells)} |"


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]
