"""What the server and PostgreSQL hold at one moment, and many such moments as a table."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg

from benchmarks.installation import Installation
from benchmarks.machine import anonymous_mib, family, proportional_mib
from benchmarks.servers import Server
from leasehold.tenancy.names import APP_ROLE

_HEAD = """\
| seconds | requests | rounds | server | PostgreSQL | largest backend | backends | replaced |
|---:|---:|---:|---:|---:|---:|---:|---:|"""
_BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
_EVER_OPENED = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was held at one moment, in MiB, and how far the requests had come."""

    seconds: float
    requests: int
    rounds: float
    server_mib: float
    postgres_mib: float
    largest_mib: float
    """Of the one process of PostgreSQL that holds most."""
    backends: int
    opened: int
    """Connections to the database since it was made."""


async def look(
    owner: "asyncpg.Connection[asyncpg.Record]",
    installed: Installation,
    server: Server,
    *,
    seconds: float,
    requests: int,
) -> Seen:
    """Return what is held now; how far the requests have come is told, not measured."""
    each = [anonymous_mib(pid) for pid in family(installed.postmaster)]
    return Seen(
        seconds=seconds,
        requests=requests,
        rounds=requests / len(installed.tenants),
        server_mib=sum(map(proportional_mib, server.pids)),
        postgres_mib=sum(each),
        largest_mib=max(each),
        backends=await owner.fetchval(_BACKENDS, APP_ROLE),
        opened=await owner.fetchval(_EVER_OPENED),
    )


def table(seen: Sequence[Seen]) -> str:
    """Return the moments in Markdown."""
    return "\n".join([_HEAD, *(row(one, seen[0]) for one in seen)])


def row(one: Seen, first: Seen) -> str:
    """Return a line of the table; connections are counted from the first one on."""
    cells = [
        f"{one.seconds:.0f}",
        f"{one.requests:,}",
        f"{one.rounds:.1f}",
        f"{one.server_mib:.1f} MiB",
        f"{one.postgres_mib:.1f} MiB",
        f"{one.largest_mib:.1f} MiB",
        str(one.backends),
        f"{one.opened - first.opened:,}",
    ]
    return f"| {' | '.join(cells)} |"


def verdict(seen: Sequence[Seen]) -> str:
    """Return what the last third of the moments held, beside the middle third; the first one does not count."""
    third = (len(seen) - 1) // 3
    middle, last = seen[-2 * third : -third], seen[-third:]

    def ratio(figure: Callable[[Seen], float]) -> str:
        return f"{statistics.median(map(figure, last)) / statistics.median(map(figure, middle)):.2f}x"

    server, postgres = ratio(lambda one: one.server_mib), ratio(lambda one: one.postgres_mib)
    return f"Last third over middle third, medians: server {server}, PostgreSQL {postgres}"
