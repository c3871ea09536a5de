"""The embedded server as its users hold it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from leasehold.embedded.account import account_for
from leasehold.embedded.binaries import Binaries, find_binaries, readable_by_all
from leasehold.embedded.cluster import create_cluster
from leasehold.embedded.errors import ServerNotStarted
from leasehold.embedded.home import Home
from leasehold.embedded.locks import FileLock
from leasehold.embedded.messages import last_meaningful_line
from leasehold.embedded.postmaster import HOST, launch, log_size, read_log, terminate, wait_until_ready

# For a developer's machine: little memory, and room for the locks of transactions over many tenants' tables.
DEFAULT_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        "max_connections": "200",
        "max_locks_per_transaction": "256",
        "shared_buffers": "64MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)

# Any program may take the port that was free when we looked.
PORT_ATTEMPTS = 5


class EmbeddedPostgres:
    """One PostgreSQL server on a data folder, shared by all processes that use the folder at the same time.

    The first user starts it and the last one stops it. A user that is killed leaves it running; the next one
    finds it, and stops it when it is the last. A user that wants SIGTERM to stop the server turns it into an
    exception.

    The server listens on 127.0.0.1 alone, on a port of its choice, and asks for a password that is made with
    the cluster and lies beside it. All data stays in the folder, also when this process is root: PostgreSQL
    then runs as the owner of the cluster, at first `postgres` or else `nobody`, and needs no rights on the
    folders above, which may be closed to it. Where the programs are closed to that account too, it runs a
    copy in `binaries.COPIES`.

    `parameters` are server parameters over `DEFAULT_PARAMETERS`. They count for the process that starts the
    server; who joins gets the server as it is. With `fsync` off, the first start does not wait for the disk
    either. Where the server listens (`listen_addresses`, `port`, `unix_socket_directories`) is not for them.

    The package carries 16 and 18. `programs` is the root of another installation, which must be of that major.

    Not for Windows, which has no `flock`. An instance is for one thread; after a stop it can start again.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        major: Literal[16, 17, 18] = 18,
        programs: Path | None = None,
        parameters: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._home = Home(folder=data_dir.absolute(), major=major)
        self._programs = programs
        self._parameters = {**DEFAULT_PARAMETERS, **parameters}
        self._users: FileLock | None = None
        self._url = ""

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> str:
        """Join the server, or start it, and return the superuser's URL, which works at once.

        A first start makes the cluster. Raises `EmbeddedPostgresError`, and then leaves nothing running.
        """
        if self._users is not None:
            return self._url
        binaries = find_binaries(self._home.major, self._programs)
        with self._home.usable():
            self._home.create()
            with self._home.turn():
                self._url = self._take_part(binaries)
        return self._url

    def stop(self) -> None:
        """Leave the server, and stop it unless another process uses it. Does nothing after a stop.

        A server whose folder has been deleted is left to itself: PostgreSQL notices within a minute and ends.
        """
        if self._users is None:
            return
        if not self._home.folder.is_dir():
            self._release()
            return
        try:
            with self._home.turn():
                self._leave()
        finally:
            self._release()

    def _take_part(self, binaries: Binaries) -> str:
        self._users = FileLock(self._home.users_lock)
        self._users.share()
        try:
            port = self._join_or_start(binaries)
            return f"postgresql://postgres:{self._home.read_password()}@{HOST}:{port}/postgres"
        except BaseException:
            self._leave()
            raise

    def _join_or_start(self, binaries: Binaries) -> int:
        log_start = log_size(self._home)
        for _ in range(PORT_ATTEMPTS):
            log_start = log_size(self._home)
            with FileLock(self._home.running_lock) as running:
                is_ours = running.try_exclusive()
                if is_ours:
                    self._launch(binaries, running)
            if (port := wait_until_ready(self._home)) is not None:
                return port
            if is_ours and "Address already in use" not in read_log(self._home, log_start=log_start):
                break
        reason = last_meaningful_line(read_log(self._home, log_start=log_start))
        raise ServerNotStarted(cluster=self._home.cluster, log=self._home.log, reason=reason)

    def _launch(self, binaries: Binaries, running: FileLock) -> None:
        account = account_for(self._home.cluster)
        if account is not None:
            binaries = readable_by_all(binaries)
        if not self._home.cluster.exists():
            is_durable = self._parameters.get("fsync", "on").lower() not in ("off", "false", "no", "0")
            create_cluster(self._home, binaries, account=account, running=running, is_durable=is_durable)
        self._home.read_password()
        launch(self._home, binaries, account=account, running=running, parameters=self._parameters)

    def _leave(self) -> None:
        try:
            if self._users is not None and self._users.try_exclusive():
                terminate(self._home)
        finally:
            self._release()

    def _release(self) -> None:
        if self._users is not None:
            self._users.close()
            self._users = None
