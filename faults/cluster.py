"""A PostgreSQL that may be stopped, killed and started again, always on the same port. Nobody else's data is in it."""

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg

from benchmarks.machine import family
from leasehold.embedded.account import account_for, run_in
from leasehold.embedded.binaries import find_binaries, readable_by_all
from leasehold.embedded.cluster import create_cluster
from leasehold.embedded.home import Home
from leasehold.embedded.locks import FileLock
from leasehold.embedded.postmaster import HOST, read_postmaster
from tests.processes import has_ended

_MAJOR = 18
# Durable, as an operator has it: what is lost by a fault must not be lost by a setting of ours.
_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {"max_connections": "100", "shared_buffers": "64MB", "max_locks_per_transaction": "256", "timezone": "UTC"}
)
_START_S = 60


class ClusterFailed(RuntimeError):
    """PostgreSQL did not do what `pg_ctl {verb}` asks: {reason}."""

    def __init__(self, verb: str, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(verb=verb, reason=reason))


class Cluster:
    """One cluster in a folder."""

    def __init__(self, folder: Path, *, port: int, parameters: Mapping[str, str] | None = None) -> None:
        self.port = port
        self._home = Home(folder=folder, major=_MAJOR)
        self._parameters = {**_PARAMETERS, **(parameters or {})}
        self._account = account_for(self._home.cluster)
        binaries = find_binaries(_MAJOR)
        self._binaries = readable_by_all(binaries) if self._account else binaries

    def create(self) -> None:
        """Make the cluster, with a superuser who has a password."""
        self._home.create()
        with FileLock(self._home.running_lock) as running:
            create_cluster(self._home, self._binaries, account=self._account, running=running, is_durable=False)

    def copy_to(self, folder: Path, *, parameters: Mapping[str, str]) -> "Cluster":
        """Return a copy of the cluster, which must be stopped, in a folder that is there."""
        subprocess.run(["cp", "-a", f"{self._home.folder}/.", str(folder)], check=True)
        return Cluster(folder, port=self.port, parameters=parameters)

    @property
    def admin_url(self) -> str:
        """The URL of the superuser."""
        return f"postgresql://postgres:{self._home.read_password()}@{HOST}:{self.port}/postgres"

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._home.cluster

    def start(self) -> None:
        """Start it and wait until it serves."""
        settings = {**self._parameters, "listen_addresses": HOST, "port": str(self.port), "unix_socket_directories": ""}
        options = shlex.join(f"--{name}={value}" for name, value in settings.items())
        self._pg_ctl("start", "--wait", f"--timeout={_START_S}", "--options", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it in one of PostgreSQL's ways; no error if it does not run."""
        if self.processes():
            self._pg_ctl("stop", "--wait", "--mode", mode)

    def kill(self) -> None:
        """Let all its processes end at once, as when the machine does; only what is on disk stays."""
        there = self.processes()
        for pid in there:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in there:
            has_ended(pid)
        # It names a process that nobody may have reaped yet, and that a start would take for a server.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def processes(self) -> list[int]:
        """Return the postmaster and all its children; none if it does not run."""
        postmaster = read_postmaster(self.data)
        if postmaster is None:
            return []
        with suppress(OSError):
            if (Path("/proc") / str(postmaster.pid) / "cwd").samefile(self.data):
                return family(postmaster.pid)
        return []

    async def connect(self, database: str = "postgres") -> Any:
        """Return a connection of the superuser, who is let in when nobody else is."""
        url = self.admin_url.rpartition("/")[0] + f"/{database}"
        return await asyncpg.connect(url, timeout=10, server_settings={"application_name": "faults"})

    async def serves(self, *, within_s: float = _START_S) -> None:
        """Wait until it lets somebody in."""
        async with asyncio.timeout(within_s):
            while True:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await (await self.connect()).close()
                    return
                await asyncio.sleep(0.02)

    def _pg_ctl(self, verb: str, *options: str) -> None:
        with os.fdopen(os.open(self._home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as log:
            code = run_in(
                self.data,
                [self._binaries.program("pg_ctl"), verb, "--silent", *options],
                account=self._account,
                output=log,
            )
        if code != 0:
            raise ClusterFailed(verb, "; ".join(self._home.log.read_text(errors="replace").splitlines()[-3:]))
