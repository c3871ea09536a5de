"""A PgBouncer in transaction mode with one server connection, which all clients of a database share.

With LEASEHOLD_TEST_PGBOUNCER set, everything that `settings` names goes through one: `1` takes the pgbouncer that is
installed, anything else is the path of another.
"""

import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from tests.bouncer import ASKED, PGBOUNCER, WHY_NOT, bouncing

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
    parts = urlsplit(direct(settings))
    ini = (
        "[databases]\n"
        f"* = host={parts.hostname} port={parts.port}\n"
        "[pgbouncer]\n"
        "listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = plain\nauth_file = {users}\n"
        "pool_mode = transaction\ndefault_pool_size = 1\nmax_client_conn = 200\n"
        f"query_wait_timeout = {_DEADLOCK_S}\n" + ("max_prepared_statements = 100\n" if keeps_statements() else "")
    )
    with bouncing(ini, f'"{parts.username}" "{parts.password}"\n') as port:
        yield port


@contextmanager
def as_asked(settings: Settings) -> Generator[Settings]:
    """Yield the settings of an installation, behind a pooler of its own where that is asked for."""
    if not ASKED:
        yield settings
        return
    if PGBOUNCER is None:
        pytest.skip(WHY_NOT)
    with bouncer(settings) as port:
        yield behind(settings, port)


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
