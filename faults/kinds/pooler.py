"""PgBouncer in transaction mode, between the servers' requests and PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from faults.fault import Fault
from faults.stage import Stage
from tests.bouncer import PGBOUNCER, WHY_NOT, bouncing
from tests.integration.cli.shell import free_port
from tests.pooler import keeps_statements

_INI = """
[databases]
* = host=127.0.0.1 port={cluster}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {{port}}
unix_socket_dir =
auth_type = plain
auth_file = {{users}}
pool_mode = transaction
default_pool_size = 20
max_client_conn = 200
"""


class Bouncer:
    """A PgBouncer that can be ended and started again on its port."""

    def __init__(self, cluster_port: int, login: tuple[str, str]) -> None:
        self.port = free_port()
        self._ini = _INI.format(cluster=cluster_port)
        self._ini += "max_prepared_statements = 100\n" if keeps_statements() else ""
        self._users = '"{}" "{}"\n'.format(*login)
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start it and wait until it listens."""
        running = bouncing(self._ini, self._users, port=self.port)
        await asyncio.to_thread(running.__enter__)
        self._stack.push(running.__exit__)

    async def stop(self) -> None:
        """End it, and with it all its connections."""
        await self._stack.aclose()


@asynccontextmanager
async def _through_pgbouncer(url: str, stage: Stage) -> AsyncGenerator[Mapping[str, str]]:
    parts = urlsplit(url)
    bouncer = Bouncer(stage.cluster.port, (parts.username or "", parts.password or ""))
    await bouncer.start()
    stage.wire = bouncer
    stage.afterwards.append(bouncer.stop)  # it keeps connections for whoever comes
    through = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{bouncer.port}").geturl()
    try:
        yield {"LEASEHOLD_DATABASE_URL": through, "LEASEHOLD_PREPARED_STATEMENTS": str(keeps_statements())}
    finally:
        await bouncer.stop()


async def _restart(stage: Stage) -> None:
    for _ in range(round(stage.lasts(short_s=1, long_s=4))):
        await stage.wire.stop()
        await asyncio.sleep(stage.lasts(short_s=0.5, long_s=3))
        await stage.wire.start()


FAULTS = (
    Fault(
        "pgbouncer-restarted",
        "While it is away requests are answered 503 with Retry-After; the directory, which goes past it, stays fresh.",
        _restart,
        why_not=lambda: None if PGBOUNCER else WHY_NOT,
        route=_through_pgbouncer,
        is_in_short_form=True,
        shown_by="refused",
    ),
)
