"""A server that tests have for themselves, and may crash."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leasehold.embedded import EmbeddedPostgres
from leasehold.embedded.account import account_for, run_in
from leasehold.embedded.binaries import find_binaries, readable_by_all
from leasehold.embedded.home import Home
from leasehold.embedded.locks import FileLock
from tests.processes import server_pid

# What is said to be committed must survive the end of the server; not that of the machine.
_PARAMETERS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}


@dataclass(frozen=True, slots=True)
class OwnServer:
    """An embedded server that nobody else uses."""

    admin_url: str
    home: Home

    def crash(self) -> None:
        """End the server as if its machine had lost its power, and start it again on the same port."""
        home = self.home
        os.kill(server_pid(home.folder), signal.SIGQUIT)
        with FileLock(home.running_lock) as running, home.log.open("ab") as log:
            assert running.wait_exclusive(timeout_s=60)
            account = account_for(home.cluster)
            binaries = find_binaries(home.major)
            program = (readable_by_all(binaries) if account else binaries).program("pg_ctl")
            command = [program, "restart", "--silent", "--wait"]
            assert run_in(home.cluster, command, account=account, output=log, keep=[running.descriptor]) == 0


@contextmanager
def own_server(folder: Path, **parameters: str) -> Generator[OwnServer]:
    """Run a server until the end of the block, with settings besides."""
    home = Home(folder, major=18)
    with EmbeddedPostgres(home.folder, parameters=_PARAMETERS | parameters) as admin_url:
        yield OwnServer(admin_url, home)
