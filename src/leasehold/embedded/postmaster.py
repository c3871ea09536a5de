"""The running server: its process file, its start, the wait for it, and its end."""

import os
import shlex
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leasehold.embedded.account import Account, run_in
from leasehold.embedded.binaries import Binaries
from leasehold.embedded.errors import ClusterInUse, ServerNotStopped, ServerTooSlow
from leasehold.embedded.home import Home
from leasehold.embedded.locks import POLL_S, FileLock
from leasehold.embedded.messages import last_meaningful_line

HOST = "127.0.0.1"
READY_TIMEOUT_S = 20

# Politely, with a checkpoint; then without, which costs a recovery at the next start; then by force.
ENDINGS = ((signal.SIGINT, 60), (signal.SIGQUIT, 10), (signal.SIGKILL, 5))


@dataclass(frozen=True)
class Postmaster:
    pid: int
    port: int
    is_ready: bool


def read_postmaster(cluster: Path) -> Postmaster | None:
    """What the server says of itself, which may be out of date: after a crash the file stays behind."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return Postmaster(pid=int(lines[0]), port=int(lines[3]), is_ready=lines[7].strip() == "ready")
    except (OSError, ValueError, IndexError):
        return None


def launch(
    home: Home,
    binaries: Binaries,
    *,
    account: Account | None,
    running: FileLock,
    parameters: Mapping[str, str],
) -> None:
    """Begin to start the server, on a port that was free just now. It inherits `running`, which is held."""
    _remove_stale_process_file(home.cluster)
    settings = {
        **parameters,
        "listen_addresses": HOST,
        "port": str(_free_port()),
        "unix_socket_directories": "",
    }
    options = shlex.join(f"--{name}={value}" for name, value in settings.items())
    command = [binaries.program("pg_ctl"), "start", "--silent", "--no-wait", "--options", options]
    with os.fdopen(os.open(home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as log:
        # What pg_ctl answers does not matter: the wait sees whether a server runs, and the log says why not.
        run_in(home.cluster, command, account=account, output=log, keep=[running.descriptor])


def wait_until_ready(home: Home) -> int | None:
    """The port of the server that someone has launched, or None when it has ended. Raises `ServerTooSlow`."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if not home.is_running():
            return None
        postmaster = read_postmaster(home.cluster)
        # One that was killed leaves its file, and for a moment children who still hold the lock.
        if postmaster and postmaster.is_ready and _serves(postmaster.pid, home.cluster):
            return postmaster.port
        time.sleep(POLL_S)
    reason = last_meaningful_line(read_log(home))
    raise ServerTooSlow(cluster=home.cluster, seconds=READY_TIMEOUT_S, log=home.log, reason=reason)


def terminate(home: Home) -> None:
    """End the server, if there is one, and wait for its last process to end. Raises `ServerNotStopped`."""
    for ending, patience_s in ENDINGS:
        deadline = time.monotonic() + patience_s
        is_told = False
        while time.monotonic() < deadline:
            if not home.is_running():
                return
            postmaster = read_postmaster(home.cluster)
            if not is_told and postmaster and _serves(postmaster.pid, home.cluster):
                with suppress(ProcessLookupError):
                    os.kill(postmaster.pid, ending)
                is_told = True
            time.sleep(POLL_S)
    raise ServerNotStopped(cluster=home.cluster)


def log_size(home: Home) -> int:
    return home.log.stat().st_size if home.log.exists() else 0


def read_log(home: Home, *, log_start: int = 0) -> str:
    with suppress(OSError), home.log.open("rb") as log:
        log.seek(log_start)
        return log.read().decode(errors="replace")
    return ""


def _remove_stale_process_file(cluster: Path) -> None:
    # PostgreSQL would refuse to start when the number in the file belongs to another process by now. Our own
    # server cannot be alive here, since we hold its lock; one that somebody started by hand can.
    try:
        pid = int((cluster / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        pid = 0
    if pid and _serves(pid, cluster):
        raise ClusterInUse(pid=pid, cluster=cluster)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _serves(pid: int, cluster: Path) -> bool:
    process = Path("/proc", str(pid))
    with suppress(OSError):
        os.kill(pid, 0)
        if not process.parent.is_dir():
            return True
        try:
            return (process / "cwd").samefile(cluster)
        except PermissionError:
            # Root in a container may not look into other accounts' processes, but at their command lines.
            return Path(os.fsdecode((process / "cmdline").read_bytes().split(b"\0")[0])).name == "postgres"
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
