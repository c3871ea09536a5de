"""What a pooler does that it should not is found, and one that works as it should is none."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from tests.integration.doctor.conftest import examined

_PGBOUNCER = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
PLANTED_BY_POOLERS = {
    "pooler-in-session-mode",
    "pooler-loses-prepared-statements",
    "url-is-pooler",
    "listen-unheard",
}

needs_pgbouncer = pytest.mark.skipif(_PGBOUNCER is None, reason="pgbouncer is not installed on this machine")


@asynccontextmanager
async def _bouncer(settings: Settings, mode: str) -> AsyncGenerator[SecretStr]:
    """Run a PgBouncer without prepared statements in front of an installation, and yield the URL of its app there."""
    parts = urlsplit(settings.database_url.get_secret_value())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        users, file = Path(folder) / "users.txt", Path(folder) / "pgbouncer.ini"
        users.write_text(f'"{parts.username}" "{parts.password}"\n')
        file.write_text(
            f"[databases]\n* = host={parts.hostname} port={parts.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {users}\npool_mode = {mode}\n"
            "max_prepared_statements = 0\n"
        )
        if _version() < (1, 21):
            file.write_text(file.read_text().replace("max_prepared_statements = 0\n", ""))
        user = None
        if os.getuid() == 0:  # it refuses to run as root
            user = pwd.getpwnam("nobody").pw_uid
            for path in (Path(folder), users, file):
                os.chown(path, user, -1)
        process = _started(file, user)
        try:
            await _listens(port)
            yield SecretStr(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl())
        finally:
            process.terminate()
            process.wait(timeout=10)


def _started(file: Path, user: int | None) -> subprocess.Popen[bytes]:
    assert _PGBOUNCER is not None
    return subprocess.Popen([_PGBOUNCER, "-q", str(file)], user=user, cwd="/", stderr=subprocess.DEVNULL)


def _version() -> tuple[int, ...]:
    assert _PGBOUNCER is not None
    text = subprocess.run([_PGBOUNCER, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in text.split()[1].split(".")[:2])


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


@needs_pgbouncer
async def test_an_old_pooler_in_transaction_mode_is_well_if_the_settings_know_it(healthy: Settings, admin: Any) -> None:
    async with _bouncer(healthy, "transaction") as url:
        settings = healthy.model_copy(update={"database_url": url, "prepared_statements": False})
        assert (await examined(settings)).findings == []


@needs_pgbouncer
async def test_prepared_statements_through_a_pooler_that_loses_them_are_found(healthy: Settings, admin: Any) -> None:
    async with _bouncer(healthy, "transaction") as url:
        report = await examined(healthy.model_copy(update={"database_url": url}))
    assert [finding.code for finding in report.findings] == ["pooler-loses-prepared-statements"]


@needs_pgbouncer
async def test_session_mode_is_found(healthy: Settings, admin: Any) -> None:
    async with _bouncer(healthy, "session") as url:
        settings = healthy.model_copy(update={"database_url": url, "prepared_statements": False})
        report = await examined(settings, "pooler")
    assert [finding.code for finding in report.findings] == ["pooler-in-session-mode"]


@needs_pgbouncer
async def test_a_pooler_where_postgresql_itself_is_needed_is_found(healthy: Settings, admin: Any) -> None:
    async with _bouncer(healthy, "transaction") as url:
        report = await examined(healthy.model_copy(update={"direct_url": url}), "urls", "listening")
    assert [(finding.code, finding.says[:21]) for finding in report.findings] == [
        ("url-is-pooler", "LEASEHOLD_DIRECT_URL "),
        ("listen-unheard", "What was announced th"),
    ]
