"""An export or import that is killed, or whose disk is full, has done nothing, and the next one does it."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.archives import PASSPHRASE, exported, imported, purged, seen
from tests.factories import provisioned
from tests.processes import outlived

_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")
_ROWS = """
INSERT INTO "{schema}".items (id, title, description, created_at, updated_at)
SELECT gen_random_uuid(), 'x', repeat(md5(n::text), 60), now(), now() FROM generate_series(1, 3000) n
"""
_TRACES = """
SELECT (SELECT count(*) FROM platform.tenants), (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'),
       (SELECT count(*) FROM platform.audit_events)
"""
_ON_IT = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'leasehold import' AND pid <> pg_backend_pid()
"""


@pytest.fixture
async def large(process: Process, owner: Any) -> TenantRef:
    """A tenant of a few megabytes."""
    tenant = await provisioned(process)
    await owner.execute(_ROWS.format(schema=tenant.schema))
    return tenant


def _start(
    settings: Settings, *arguments: str | Path, limit: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("LEASEHOLD_")}
    environment |= {f"LEASEHOLD_{name.upper()}": getattr(settings, name).get_secret_value() for name in _SECRETS}
    environment["LEASEHOLD_ARCHIVE_PASSPHRASE"] = PASSPHRASE
    return subprocess.Popen(
        [sys.executable, "-m", "leasehold", "tenants", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        preexec_fn=limit,
    )


def _kill_after(settings: Settings, line: str, *arguments: str | Path) -> None:
    """Kill a command once it has said a line; it cannot come to its end before, for there it writes an event."""
    assert settings.owner_url is not None
    with psycopg.connect(settings.owner_url.get_secret_value()) as owner:
        owner.execute("LOCK TABLE platform.audit_events IN SHARE MODE")
        with outlived(_start(settings, *arguments)) as command:
            assert command.stderr is not None
            said: list[str] = []
            for told in command.stderr:
                said.append(told)
                if told.startswith(line):
                    break
    assert said, command.returncode
    assert said[-1].startswith(line), said
    assert command.returncode == -signal.SIGKILL


async def test_an_export_that_is_killed_leaves_no_archive_and_the_next_one_makes_it(
    process: Process, settings: Settings, owner: Any, large: TenantRef, tmp_path: Path
) -> None:
    file = tmp_path / "large.archive"
    for line in ("exported api_clients", "exported items"):
        _kill_after(settings, line, "export", large.slug, "-o", file)
        assert [path.name for path in _files(tmp_path)] == ["large.archive.partial"]
    before = await seen(owner, large.id, large.schema, process.key)
    await exported(process, large.slug, file)
    assert [path.name for path in _files(tmp_path)] == ["large.archive"]
    await purged(process, large.id)
    await imported(process, file)
    after = await seen(owner, large.id, large.schema, process.key)
    assert after["items"] == before["items"]


async def test_an_import_that_is_killed_leaves_nothing_and_the_next_one_does_all(
    process: Process, settings: Settings, owner: Any, large: TenantRef, tmp_path: Path
) -> None:
    file = tmp_path / "large.archive"
    await exported(process, large.slug, file)
    await purged(process, large.id)
    before = await owner.fetchrow(_TRACES)
    for line in ("loaded users", "loaded items", "compared items"):
        _kill_after(settings, line, "import", file)
        async with asyncio.timeout(60):
            while await owner.fetchval(_ON_IT):
                await asyncio.sleep(0.01)  # PostgreSQL notices within a moment that nobody is there any more
        assert await owner.fetchrow(_TRACES) == before, line
    done = await imported(process, file)
    assert (done.id, await owner.fetchval(f'SELECT count(*) FROM "{large.schema}".items')) == (large.id, 3000)


async def test_a_full_disk_is_told_in_one_sentence_and_leaves_no_file(
    process: Process, settings: Settings, owner: Any, large: TenantRef, tmp_path: Path
) -> None:
    def small_files_alone() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    file, before = tmp_path / "large.archive", await owner.fetchrow(_TRACES)
    with outlived(_start(settings, "export", large.slug, "-o", file, limit=small_files_alone)) as command:
        _, told = command.communicate(timeout=60)
    assert command.returncode == 2
    assert told.splitlines()[-1] == f"leasehold: The archive {file} cannot be written: File too large."
    assert "Traceback" not in told
    assert _files(tmp_path) == []
    assert await owner.fetchrow(_TRACES) == before


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())
