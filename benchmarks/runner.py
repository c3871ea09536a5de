"""`leasehold migrate all` as a process: how long it takes when nothing is to be done, what it asks, what it holds."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from benchmarks.fleet import Fleet
from benchmarks.installation import clean_environment
from benchmarks.peers import ROOT
from leasehold.embedded import EmbeddedPostgres
from leasehold.embedded.home import Home
from leasehold.tenancy.names import quoted

_LOOK_EVERY_S = 0.02
_MAJOR = 18
# Rows alone: such a run looks into no schema, so there need be none.
_REGISTER = """
INSERT INTO platform.tenants
       (id, slug, name, schema_name, role_name, state, cluster, revision, created_at, updated_at)
SELECT gen_random_uuid(), 'nowhere-' || n, 'Bench', 't_nowhere_' || n, 'lh_t_nowhere_' || n, 'active', 'main', $1,
       now(), now()
  FROM generate_series(1, $2 - (SELECT count(*) FROM platform.tenants)) n
"""
_UNREGISTER = "DELETE FROM platform.tenants WHERE slug LIKE 'nowhere-%'"
# A run passes over tenants that are purged.
_HIDE = "UPDATE platform.tenants SET state = 'purged' WHERE id <> ALL($1)"
_SHOW = "UPDATE platform.tenants SET state = 'active'"


class RunFailed(RuntimeError):
    """`leasehold migrate all` failed: {output}"""

    def __init__(self, output: str) -> None:
        super().__init__((self.__doc__ or "").format(output=output))


@dataclass(frozen=True, slots=True)
class Ran:
    """One run: how long it took with its process' start, and the most memory that it had resident."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Runs that found nothing to do, and how many queries one of them sent."""

    seconds: list[float]
    queries: int


async def idle_runs(fleet: Fleet, folder: Path, *, tenants: int, runs: int) -> Idle:
    """Run over a fleet at head, with so many tenants in its registry."""
    await fleet.fetch(_REGISTER, fleet.base, tenants)
    await fleet.tidy()
    try:
        async with _log_of_statements(fleet, folder) as log:
            await _migrate_all(fleet)
            queries = log.statements()
        seconds = [(await _migrate_all(fleet)).seconds for _ in range(runs)]
    finally:
        await fleet.fetch(_UNREGISTER)
    return Idle(seconds, queries)


async def run_over(fleet: Fleet, tenants: list[UUID]) -> Ran:
    """Run over these tenants, who stand one revision behind, as if there were no others."""
    await fleet.fetch(_HIDE, tenants)
    try:
        ran = await _migrate_all(fleet)
    finally:
        await fleet.fetch(_SHOW)
    await fleet.take_back(tenants)
    return ran


async def _migrate_all(fleet: Fleet) -> Ran:
    folder = {"LEASEHOLD_MIGRATIONS_DIR": str(fleet.settings.migrations_dir)}
    environment = clean_environment() | dict(fleet.installed.settings) | folder
    command = [sys.executable, "-m", "leasehold", "migrate", "all", "--jobs", str(fleet.jobs)]
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        output, peak_mib = await asyncio.gather(process.communicate(), _peak_mib(process))
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode:
        raise RunFailed(output[0].decode())
    return Ran(time.perf_counter() - started, peak_mib)


async def _peak_mib(process: asyncio.subprocess.Process) -> float:
    """Return the most that a process had resident until shortly before it ended."""
    peak_mib = 0.0
    while process.returncode is None:
        peak_mib = _resident_peak_mib(process.pid) or peak_mib
        await asyncio.sleep(_LOOK_EVERY_S)
    return peak_mib


def _resident_peak_mib(pid: int) -> float:
    """Return the most that a process had resident so far (VmHWM), 0 if it has ended.

    Not what the kernel says of a child that has ended: that counts what its parent held when it started it.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0


class _Log:
    """What a server writes down from now on."""

    def __init__(self, folder: Path) -> None:
        self._file = Home(folder.absolute(), _MAJOR).log
        self._start = self._file.stat().st_size

    def statements(self) -> int:
        """Return how many statements it has written down."""
        lines = self._file.read_bytes()[self._start :].decode().splitlines()
        return sum("LOG:  statement: " in line or "LOG:  execute " in line for line in lines)


@asynccontextmanager
async def _log_of_statements(fleet: Fleet, folder: Path) -> AsyncGenerator[_Log]:
    """Let the server write down every statement of connections that are opened meanwhile."""
    database = quoted(urlsplit(fleet.owner_url).path.lstrip("/"))
    with EmbeddedPostgres(folder, major=_MAJOR) as admin_url:  # joins the one that runs
        admin = await asyncpg.connect(admin_url)
        try:
            await admin.execute(f"ALTER DATABASE {database} SET log_statement = 'all'")
            yield _Log(folder)
            await admin.execute(f"ALTER DATABASE {database} RESET log_statement")
        finally:
            await admin.close()
