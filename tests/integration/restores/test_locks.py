"""What a drill and a restore hold while they load: nothing of the platform, so a deploy need not wait for them."""

from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.platform.features import WRAPPED_OF_PLATFORM
from leasehold.process import Process
from leasehold.tenancy.archive import glance as glances
from leasehold.tenancy.archive.glance import glance
from leasehold.tenancy.archive.platform_rehearsing import PlatformRehearsal
from leasehold.tenancy.archive.progress import Progress
from leasehold.tenancy.archive.reading import ArchiveFile, PlatformArchiveFile
from leasehold.tenancy.archive.rehearsing import Rehearsal
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.feed import APPLICATION_NAME
from tests.archives import PASSPHRASE, exported
from tests.factories import OPERATOR, item, until

_HELD = """
SELECT DISTINCT r.relname::text
  FROM pg_locks l JOIN pg_class r ON r.oid = l.relation JOIN pg_namespace n ON n.oid = r.relnamespace
  JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE n.nspname = 'platform' AND r.relkind = 'r' AND l.pid <> pg_backend_pid() AND a.application_name <> %s
   AND a.backend_type = 'client backend'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""But for the directory's feed and autovacuum, which look into the platform now and then, whatever goes on."""


@pytest.fixture
def moments(settings: Settings) -> Generator[tuple[Progress, dict[str, set[str]]]]:
    """A progress that looks, at each step, which tables of the platform anybody holds; and what it has seen."""
    assert settings.owner_url is not None
    found: dict[str, set[str]] = {}
    with psycopg.connect(driver_url(settings.owner_url.get_secret_value()), autocommit=True) as connection:

        def look(what: str, _size: int) -> None:
            found[what] = {str(row[0]) for row in connection.execute(_HELD, [APPLICATION_NAME])}

        yield Progress(on_table=look), found


@pytest.fixture
async def archive(process: Process, acme: TenantRef, tmp_path: Path) -> AsyncGenerator[ArchiveFile]:
    """An archive of a tenant."""
    await item(process, acme, "Desk")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    with ArchiveFile(tmp_path / "acme.archive") as opened:
        yield opened


async def test_a_drill_of_a_tenant_holds_nothing_of_the_platform(
    process: Process, archive: ArchiveFile, moments: tuple[Progress, dict[str, set[str]]]
) -> None:
    progress, found = moments
    await Rehearsal(process.importer).run(archive, archive.key(PASSPHRASE), progress=progress)
    assert "compared refresh_tokens" in found
    assert {what: held for what, held in found.items() if held} == {}


async def test_a_restore_in_place_holds_nothing_of_the_platform_while_it_loads(
    process: Process, acme: TenantRef, archive: ArchiveFile, moments: tuple[Progress, dict[str, set[str]]]
) -> None:
    progress, found = moments
    await process.restorer.put_back(archive, archive.key(PASSPHRASE), acme.id, by=OPERATOR, progress=progress)
    assert "compared refresh_tokens" in found
    assert {what: held for what, held in found.items() if held} == {}


async def test_a_drill_of_the_platform_holds_nothing_of_it(
    process: Process, acme: TenantRef, tmp_path: Path, moments: tuple[Progress, dict[str, set[str]]]
) -> None:
    progress, found = moments
    file = tmp_path / "platform.archive"

    @contextmanager
    def sink(_at: Any) -> Generator[Any]:
        with file.open("wb") as written:
            yield written

    await process.platform_exporter.export(sink, ArchiveKey.new(PASSPHRASE))
    rehearsal = PlatformRehearsal(process.importer.owner_url, process.key, WRAPPED_OF_PLATFORM)
    with PlatformArchiveFile(file) as archive:
        assert await rehearsal.run(archive, archive.key(PASSPHRASE), progress=progress)
    assert "compared tenants" in found
    assert {what: held for what, held in found.items() if held} == {}


async def test_who_stands_still_in_the_middle_of_a_glance_is_ended_and_behind_it_may_take_its_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = "SHOW idle_in_transaction_session_timeout"
    assert settings.owner_url is not None
    stopped: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    await stopped.transaction().start()
    before = await stopped.fetchval(patience)
    async with glance(stopped):
        await stopped.fetchval("SELECT count(*) FROM platform.tenant_revisions")
        assert await stopped.fetchval(patience) == "10s"
    assert await stopped.fetchval(patience) == before

    monkeypatch.setattr(glances, "LETS_GO", glances.LETS_GO.replace("10s", "200ms"))

    async def stand_still() -> None:
        async with glance(stopped):
            await until(stopped.is_closed, timeout_s=30)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await stand_still()
    assert stopped.is_closed()
