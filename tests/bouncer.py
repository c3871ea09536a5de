"""Runs a PgBouncer: the one that is installed, or another that LEASEHOLD_TEST_PGBOUNCER names by its path."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.cli.shell import free_port

ASKED = os.environ.get("LEASEHOLD_TEST_PGBOUNCER", "")
PGBOUNCER = shutil.which(
    "pgbouncer" if ASKED in {"", "1"} else ASKED, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
)
WHY_NOT = "pgbouncer is not installed on this machine"
_WITHIN_S = 30

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason=WHY_NOT)


@contextmanager
def bouncing(ini: str, users: str, *, port: int | None = None) -> Generator[int]:
    """Run it, and yield its port; `{port}` and `{users}` in the file are that port and the file of users."""
    assert PGBOUNCER is not None
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        users_file, file = Path(folder) / "userlist.txt", Path(folder) / "pgbouncer.ini"
        users_file.write_text(users)
        file.write_text(ini.format(port=port, users=users_file))
        user, program = None, PGBOUNCER
        if os.getuid() == 0:  # it refuses to run as root, and whoever runs it must reach it
            program = shutil.copy(PGBOUNCER, folder)
            account = pwd.getpwnam("nobody")
            user = account.pw_uid
            for path in (Path(folder), *Path(folder).iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        process = subprocess.Popen([program, "-q", str(file)], user=user, cwd="/", stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=_WITHIN_S)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "pgbouncer does not listen"
            time.sleep(0.02)  # it does not say when it listens; asked again until the deadline
        else:
            return
