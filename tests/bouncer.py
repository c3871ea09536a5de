"""Runs a PgBouncer from files of any kind, for the tests of what an operator sets up."""

import asyncio
import os
import pwd
import socket
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.pooler import PGBOUNCER, WHY_NOT

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason=WHY_NOT)


@asynccontextmanager
async def bouncing(ini: str, users: str) -> AsyncGenerator[int]:
    """Run it, and yield its port; `{port}` and `{users}` in the file are that port and the file of users."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        users_file, file = Path(folder) / "userlist.txt", Path(folder) / "pgbouncer.ini"
        users_file.write_text(users)
        file.write_text(ini.format(port=port, users=users_file))
        user = None
        if os.getuid() == 0:  # it refuses to run as root
            user = pwd.getpwnam("nobody").pw_uid
            for path in (Path(folder), users_file, file):
                os.chown(path, user, -1)
        process = _started(file, user)
        try:
            await _listens(port)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=10)


def _started(file: Path, user: int | None) -> subprocess.Popen[bytes]:
    assert PGBOUNCER is not None
    return subprocess.Popen([PGBOUNCER, "-q", str(file)], user=user, cwd="/", stderr=subprocess.DEVNULL)


async def _listens(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
