"""While a move waits for who writes, it keeps nobody else from anything for longer than a moment."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.errors import DatabaseUnavailable
from leasehold.process import Process
from leasehold.tenancy.archive import importing
from leasehold.tenancy.archive.progress import Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.restores import moving, refusals, restoring
from leasehold.tenancy.restores.restoring import Restorer
from tests.archives import PASSPHRASE, exported, imported
from tests.factories import OPERATOR, item, new_slug, provisioned
from tests.restores import aside_of, put_back, rows_of

_WAITING = """
SELECT count(*) FROM pg_locks
 WHERE NOT granted AND mode = 'ExclusiveLock' AND relation = to_regclass($1)
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
async def yesterday(process: Process, acme: TenantRef, tmp_path: Path) -> Path:
    """An archive of a tenant."""
    await item(process, acme, "of yesterday")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    return tmp_path / "acme.archive"


def _url(settings: Settings) -> str:
    assert settings.owner_url is not None
    return driver_url(settings.owner_url.get_secret_value())


@asynccontextmanager
async def written_to(settings: Settings, tenant: TenantRef, *tables: str) -> AsyncGenerator[psycopg.Connection]:
    """Write to tables of a tenant in a transaction that does not end."""
    with psycopg.connect(_url(settings)) as writing:
        for table in tables:
            writing.execute(f'LOCK TABLE "{tenant.schema}"."{table}" IN ROW EXCLUSIVE MODE'.encode())
        yield writing
        if not writing.closed:
            writing.rollback()


async def _waits(owner: Any, tenant: TenantRef, table: str = "items") -> None:
    async with asyncio.timeout(30):
        while not await owner.fetchval(_WAITING, f'"{tenant.schema}"."{table}"'):
            await asyncio.sleep(0.01)


async def test_others_are_provisioned_while_a_restore_waits_for_who_writes(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    async with written_to(settings, acme, "items") as writing:
        moving_in = asyncio.create_task(put_back(process, yesterday, acme.id))
        await _waits(owner, acme)
        async with asyncio.timeout(50):  # the restore itself has patience for a minute
            await provisioned(process)
        assert not moving_in.done()
        writing.rollback()
        await moving_in


async def test_a_restore_that_stands_still_with_the_tables_locked_is_ended_and_has_done_nothing(
    process: Process,
    settings: Settings,
    owner: Any,
    acme: TenantRef,
    yesterday: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Not less, or a busy machine stands still on its way to the tables.
    monkeypatch.setattr(moving, "LETS_GO", moving.LETS_GO.replace("10s", "2s"))
    before = await rows_of(process, owner, acme.id)
    async with written_to(settings, acme, "items") as writing:
        moving_in = asyncio.create_task(put_back(process, yesterday, acme.id))
        await _waits(owner, acme)
        writing.rollback()
        time.sleep(4)  # noqa: ASYNC251 - as one that is stopped: PostgreSQL is to lose patience with it, after 2 s
        with pytest.raises(DBAPIError):
            await moving_in
    assert await aside_of(owner, acme.id) is None
    assert await rows_of(process, owner, acme.id) == before


async def test_an_attempt_is_bounded_as_a_whole_and_not_for_each_table_anew(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    impatient = Restorer(process.importer, process.owner, process.purger, tenant_roles=True, patience_s=0)
    async with written_to(settings, acme, "items"):
        with pytest.raises(refusals.StillBusy) as refused:
            await put_back(process, yesterday, acme.id, restorer=impatient)
    assert isinstance(refused.value.__cause__, asyncpg.QueryCanceledError)


async def test_the_refusal_names_who_holds_the_tables(
    process: Process, settings: Settings, acme: TenantRef, yesterday: Path
) -> None:
    impatient = Restorer(process.importer, process.owner, process.purger, tenant_roles=True, patience_s=0)
    async with written_to(settings, acme, "items") as writing:
        writing.execute("SET application_name = 'a report'")
        with pytest.raises(refusals.StillBusy, match=rf"at last by process {writing.info.backend_pid} \(a report\);"):
            await put_back(process, yesterday, acme.id, restorer=impatient)


async def test_a_tenant_that_a_newer_release_has_migrated_meanwhile_is_not_put_back_behind_that(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    head = process.importer.filler.history.head
    stands = "UPDATE platform.tenants SET revision = %s WHERE id = %s"
    with psycopg.connect(_url(settings), autocommit=True) as runner, ArchiveFile(yesterday) as archive:

        def migrate(what: str, _size: int) -> None:
            if what.startswith("compared items"):
                runner.execute(stands, ("9016", acme.id))

        key, refusal = archive.key(PASSPHRASE), f"at revision 9016, and this release knows none beyond {head};"
        for progress in (Progress(on_table=migrate), Progress()):  # in the middle, and before
            with pytest.raises(refusals.MigratedBeyond, match=refusal):
                await process.restorer.put_back(archive, key, acme.id, by=OPERATOR, progress=progress)
        runner.execute(stands, (head, acme.id))
        await put_back(process, yesterday, acme.id)
        runner.execute(stands, ("9016", acme.id))
        with pytest.raises(refusals.MigratedBeyond):
            await process.restorer.undo(acme.id, by=OPERATOR)
        runner.execute(stands, (head, acme.id))
    assert (await aside_of(owner, acme.id))["revision"] == head


async def test_a_confirmation_behind_an_undo_is_recorded_where_the_tenant_lives_now(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    await put_back(process, yesterday, acme.id)
    served = await owner.fetchval("SELECT schema_name FROM platform.tenants WHERE id = $1", acme.id)
    other: Any = await asyncpg.connect(_url(settings))
    undoing = process.restorer.move(other, acme.id)
    async with other.transaction():
        await undoing.exchange(acme.slug, is_undone=True)
        confirming = asyncio.create_task(process.restorer.confirm(acme.id, by=OPERATOR))
        async with asyncio.timeout(30):
            while not await owner.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> $1 AND $1 = ANY (pg_blocking_pids(pid))",
                other.get_server_pid(),
            ):
                await asyncio.sleep(0.01)
    done = await confirming
    assert done.is_undone
    schema = await owner.fetchval("SELECT schema_name FROM platform.tenants WHERE id = $1", acme.id)
    assert schema != served
    found = await owner.fetchval(
        f"""SELECT count(*) FROM "{schema}".audit_events WHERE action = 'tenant.put_back_confirmed'"""
    )
    assert found == 1
    await other.close()


async def test_a_confirmation_that_stands_still_lets_go_of_the_tenant_and_has_destroyed_nothing(
    process: Process,
    settings: Settings,
    owner: Any,
    acme: TenantRef,
    yesterday: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await put_back(process, yesterday, acme.id)
    real = restoring.condemn

    async def stand_still(*arguments: Any) -> bool:
        time.sleep(1.5)  # noqa: ASYNC251 - as one that is stopped, for longer than PostgreSQL has patience
        return await real(*arguments)

    monkeypatch.setattr(restoring, "LETS_GO", moving.LETS_GO.replace("10s", "300ms"))
    monkeypatch.setattr(restoring, "condemn", stand_still)
    with pytest.raises(DatabaseUnavailable):
        await process.restorer.confirm(acme.id, by=OPERATOR)
    assert (await aside_of(owner, acme.id))["state"] == "set_aside"
    monkeypatch.undo()
    await process.restorer.confirm(acme.id, by=OPERATOR)
    assert await aside_of(owner, acme.id) is None


async def test_an_import_that_stands_still_with_its_role_in_the_group_lets_go_and_has_done_nothing(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, slug = importing.announcement_sql, new_slug()

    def stand_still(tenant_id: UUID) -> str:
        time.sleep(1.5)  # as one that is stopped, behind its GRANT, for longer than PostgreSQL has patience
        return real(tenant_id)

    monkeypatch.setattr(importing, "LETS_GO", moving.LETS_GO.replace("10s", "300ms"))
    monkeypatch.setattr(importing, "announcement_sql", stand_still)
    with pytest.raises(DBAPIError):
        await imported(process, yesterday, slug=slug)
    assert await owner.fetchval("SELECT count(*) FROM platform.tenants WHERE slug = $1", slug) == 0
