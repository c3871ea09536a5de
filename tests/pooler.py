"""A PgBouncer in transaction mode with one server connection, which all clients of a database share.

With LEASEHOLD_TEST_PGBOUNCER set, everything that `settings` names goes through one: `1` takes the pgbouncer that is
installed, anything else is the path of another.
"""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from leasehold.config import Settings
from tests.integration.cli.shell import free_port

ASKED = os.environ.get("LEASEHOLD_TEST_PGBOUNCER", "")
PGBOUNCER = shutil.which(
    "pgbouncer" if ASKED in {"", "1"} else ASKED, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
)
WHY_NOT = "pgbouncer is not installed on this machine"
_WITHIN_S = 10
# Who waits longer waits for somebody who waits for it.
_DEADLOCK_S = 8


@cache
def keeps_statements() -> bool:
    """Whether it keeps prepared statements apart, as PgBouncer does from 1.21 on."""
    assert PGBOUNCER is not None
    said = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    assert found, said
    return (int(found[1]), int(found[2])) >= (1, 21)


@contextmanager
def bouncer(settings: Settings) -> Generator[int]:
    """Run a PgBouncer before the database of an installation and yield its port."""
    assert PGBOUNCER is not None
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = _configure(Path(folder), settings, port)
        user, program = None, PGBOUNCER
        if os.getuid() == 0:  # it refuses to run as root, and whoever runs it must reach it
            program = shutil.copy(PGBOUNCER, folder)
            account = pwd.getpwnam("nobody")
            user = account.pw_uid
            for path in (Path(folder), *Path(folder).iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        process = subprocess.Popen([program, "-q", str(file)], user=user, cwd="/")
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=_WITHIN_S)


def behind(settings: Settings, port: int) -> Settings:
    """Return the settings of an installation whose requests go through the pooler at a port."""
    through = SecretStr(through_port(settings, port))
    return settings.model_copy(update={"database_url": through, "prepared_statements": keeps_statements()})


def through_port(settings: Settings, port: int) -> str:
    """Return the URL of the database through the pooler at a port."""
    parts = urlsplit(direct(settings))
    return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()


def direct(settings: Settings) -> str:
    """Return the URL of the login of the app on PostgreSQL itself, for what a test itself wants to know or do."""
    assert settings.direct_url is not None
    return settings.direct_url.get_secret_value()


def _configure(folder: Path, settings: Settings, port: int) -> Path:
    parts = urlsplit(direct(settings))
    users = folder / "users.txt"
    users.write_text(f'"{parts.username}" "{parts.password}"\n')
    file = folder / "pgbouncer.ini"
    file.write_text(
        "[databases]\n"
        f"* = host={parts.hostname} port={parts.port}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {users}\n"
        "pool_mode = transaction\ndefault_pool_size = 1\nmax_client_conn = 200\n"
        f"query_wait_timeout = {_DEADLOCK_S}\n"
        f"logfile = {folder / 'pgbouncer.log'}\n" + ("max_prepared_statements = 100\n" if keeps_statements() else "")
    )
    return file


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "pgbouncer does not listen"
            time.sleep(0.02)
        else:
            return
