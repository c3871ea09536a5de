"""The purge: nothing of a tenant is left but ids, and nothing of any other is touched."""

import asyncio
import random
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.clock import utc_now
from leasehold.core.database import driver_url, platform_session
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.ids import new_id
from leasehold.embedded import EmbeddedPostgres
from leasehold.platform.lifecycle.service import LifecycleService
from leasehold.platform.tenants.repository import TenantRepository
from leasehold.process import Process
from leasehold.tenancy import connections, purge
from leasehold.tenancy.context import TenantRef, UnknownTenant
from leasehold.tenancy.owner import Owner
from leasehold.tenancy.purge import Purger
from tests.audit import events_of
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, admin, item, lifecycle, new_slug, parts_of, provisioned

TENANTS = "/platform/v1/tenants"

_LOCKED = """
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND a.datname = current_database() AND a.usename = current_user
"""


@pytest.fixture
async def owner(settings: Settings) -> AsyncGenerator[Any]:
    assert settings.owner_url is not None
    connection = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    yield connection
    await connection.close()


async def deleted(process: Process, tenant: TenantRef) -> None:
    """Delete a tenant whose grace is over at once."""
    async with platform_session(process.database) as session:
        await LifecycleService(session, grace=timedelta(0)).delete(tenant.id, by=OPERATOR)


async def test_a_certificate_says_when_it_was_and_how_many_rows_each_table_had(
    process: Process, settings: Settings, owner: Any, acme: TenantRef
) -> None:
    for _ in range(3):
        await item(process, acme)
    await deleted(process, acme)
    tables = [row[0] for row in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", acme.schema)]
    await process.purger.purge(acme.id, by=OPERATOR)
    (certificate,) = [
        event for event in events_of(settings, None, action="tenant.purged") if event["target_id"] == acme.id
    ]
    counts = certificate["changes"]["row_counts"]["from"]
    assert set(counts) == set(tables)
    assert (counts["items"], counts["users"], counts["alembic_version"]) == (3, 0, 1)
    assert certificate["changes"]["started_at"]["to"] <= certificate["created_at"].isoformat()
    row = await owner.fetchrow("SELECT * FROM platform.tenants WHERE id = $1", acme.id)
    assert (row["state"], row["name"], row["purge_at"]) == ("purged", "", None)
    assert await process.purger.purge(acme.id, by=OPERATOR) is False


async def test_a_tenant_is_purged_no_sooner_than_its_grace_is_over(
    process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    async with platform_session(process.database) as session:
        await lifecycle(session).delete(acme.id, by=OPERATOR)
    for tenant in (acme, globex):
        assert await process.purger.purge(tenant.id, by=OPERATOR) is False
    async with platform_session(process.database) as session:
        tenants = TenantRepository(session=session)
        soon, later = utc_now(), utc_now() + timedelta(days=31)
        assert acme.id not in await tenants.to_be_purged(soon, limit=10_000)
        due = await tenants.to_be_purged(later, limit=10_000)
        assert acme.id in due
        assert globex.id not in due
        assert (await lifecycle(session).restore(acme.id, by=OPERATOR)).state == "active"


async def test_slugs_former_ones_too_and_domains_are_free_again_afterwards(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    root, domain = await admin(process), f"{acme.slug}.example"
    await http.post(f"{TENANTS}/{acme.id}/domains", headers=root, json={"hostname": domain})
    await http.patch(f"{TENANTS}/{acme.id}", headers=root, json={"slug": (second := new_slug())})
    await deleted(process, acme)
    await process.purger.purge(acme.id, by=OPERATOR)
    for slug in (acme.slug, second):
        assert (await provisioned(process, slug)).slug == slug
    taken = await http.post(f"{TENANTS}/{globex.id}/domains", headers=root, json={"hostname": domain})
    assert taken.status_code == 201


async def test_two_who_purge_at_once_come_to_one_end(process: Process, settings: Settings, acme: TenantRef) -> None:
    await item(process, acme)
    await deleted(process, acme)
    results = await asyncio.gather(*(process.purger.purge(acme.id, by=OPERATOR) for _ in range(2)))
    assert sorted(results) == [False, True]
    certificates = [e for e in events_of(settings, None, action="tenant.purged") if e["target_id"] == acme.id]
    assert len(certificates) == 1
    assert certificates[0]["changes"]["row_counts"]["from"]["items"] == 1


async def test_who_is_cancelled_keeps_nobody_else_from_purging_the_tenant(
    process: Process, owner: Any, acme: TenantRef
) -> None:
    """Perhaps in the moment in which it is given the lock, which would lie in the pool with the connection."""
    dice = random.Random(1)
    for _ in range(60):
        purging = [asyncio.create_task(process.purger.purge(acme.id, by=OPERATOR)) for _ in range(2)]
        await asyncio.sleep(dice.random() / 200)
        for task in purging:
            task.cancel()
        await asyncio.wait(purging, timeout=60)
    await deleted(process, acme)
    async with asyncio.timeout(60):
        assert await process.purger.purge(acme.id, by=OPERATOR) is True
        while await owner.fetchval(_LOCKED):
            await asyncio.sleep(0.01)


async def test_one_that_stands_in_the_middle_is_brought_to_its_end_with_all_rows_counted(
    process: Process, settings: Settings, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await item(process, acme)
    await deleted(process, acme)
    real, dropped = process.purger._drop_tables, 0

    async def drop_once(*arguments: Any) -> None:
        nonlocal dropped
        if dropped:
            raise LookupError("the process was killed")
        dropped += 1
        await real(*arguments)

    monkeypatch.setattr(process.purger, "_drop_tables", drop_once)
    with pytest.raises(LookupError):
        await process.purger.purge(acme.id, by=OPERATOR)
    monkeypatch.undo()
    async with platform_session(process.database) as session:
        assert acme.id in await TenantRepository(session=session).to_be_purged(utc_now(), limit=10_000)
    assert await process.purger.purge(acme.id, by=OPERATOR) is True
    (certificate,) = [e for e in events_of(settings, None, action="tenant.purged") if e["target_id"] == acme.id]
    assert certificate["changes"]["row_counts"]["from"]["items"] == 2


async def test_nobody_knows_a_tenant_that_never_was(process: Process) -> None:
    with pytest.raises(UnknownTenant):
        await process.purger.purge(new_id(), by=OPERATOR)


async def test_three_hundred_tables_that_all_refer_to_one_take_few_locks_at_a_time(
    process: Process, owner: Any, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        await owner.execute(
            f'CREATE TABLE "{acme.schema}".more_{number} (id uuid PRIMARY KEY, user_id uuid REFERENCES '
            f'"{acme.schema}".users, text text UNIQUE)'
        )
    await owner.execute("CREATE TABLE platform.locks_of_test (locks bigint)")
    note = (
        f"WITH noted AS ({purge._NOTE}) INSERT INTO platform.locks_of_test "
        "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
    )
    monkeypatch.setattr(purge, "_NOTE", note)
    try:
        await deleted(process, acme)
        assert await process.purger.purge(acme.id, by=OPERATOR) is True
        batches, most = await owner.fetchrow("SELECT count(*), max(locks) FROM platform.locks_of_test")
    finally:
        await owner.execute("DROP TABLE platform.locks_of_test")
    assert batches > 300 / 4
    assert most < 150


@pytest.fixture
def cramped(tmp_path: Path) -> Generator[Settings]:
    """An installation on a server that has room for few locks."""
    few = {"max_locks_per_transaction": "64", "max_connections": "25", "max_wal_senders": "0"}
    few |= {"autovacuum_worker_slots": "2", "autovacuum_max_workers": "2", "max_worker_processes": "2", "fsync": "off"}
    with (
        EmbeddedPostgres(tmp_path / "postgres", major=18, parameters=few) as admin_url,
        installed(admin_url, f"leasehold_locks_{new_slug()[2:]}") as settings,
    ):
        migrate(settings)
        yield settings


async def test_where_dropping_a_schema_at_once_finds_no_room_for_locks_a_purge_does(cramped: Settings) -> None:
    assert cramped.owner_url is not None
    async with parts_of(cramped) as process:
        tenant = await process.provisioner.provision(slug=new_slug(), name="Large", by=OPERATOR)
        owner: Any = await asyncpg.connect(driver_url(cramped.owner_url.get_secret_value()))
        for number in range(300):
            await owner.execute(
                f'CREATE TABLE "{tenant.schema}".more_{number} (id uuid PRIMARY KEY, user_id uuid REFERENCES '
                f'"{tenant.schema}".users, a text UNIQUE, b text UNIQUE, c text UNIQUE, d text UNIQUE, e text UNIQUE)'
            )
        assert await owner.fetchval("SHOW max_locks_per_transaction") == "64"
        with pytest.raises(asyncpg.OutOfMemoryError, match="out of shared memory"):
            await owner.execute(f'DROP SCHEMA "{tenant.schema}" CASCADE')
        await deleted(process, tenant)
        assert await process.purger.purge(tenant.id, by=OPERATOR) is True
        assert await owner.fetchval("SELECT to_regnamespace($1)", tenant.schema) is None
        assert await owner.fetchval("SELECT state FROM platform.tenants WHERE id = $1", tenant.id) == "purged"
        await owner.close()


class DyingConnection(asyncpg.Connection):
    """A connection that PostgreSQL ends before a certain statement."""

    remaining = 0

    async def _count(self) -> None:
        cls = type(self)
        cls.remaining -= 1
        if cls.remaining == 0:
            await super().execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async def execute(self, *arguments: Any, **options: Any) -> str:
        await self._count()
        return await super().execute(*arguments, **options)

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        await self._count()
        return await super().fetch(*arguments, **options)


async def test_a_purge_that_dies_at_any_statement_is_brought_to_its_end_by_the_next(
    process: Process, settings: Settings, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_dying_pool(url: str, **_options: Any) -> Any:
        return await asyncpg.create_pool(
            driver_url(url), min_size=0, max_size=1, connection_class=DyingConnection, reset=_no_reset
        )

    assert settings.owner_url is not None
    monkeypatch.setattr(connections, "_open_pool", open_dying_pool)
    for step in range(1, 1000, 9):
        tenant = await provisioned(process)
        await item(process, tenant)
        await deleted(process, tenant)
        dying = Owner(settings.owner_url.get_secret_value())
        DyingConnection.remaining = step
        try:
            await Purger(dying).purge(tenant.id, by=OPERATOR)
        except DatabaseUnavailable:
            state = await owner.fetchval("SELECT state FROM platform.tenants WHERE id = $1", tenant.id)
            assert state in {"deleted", "purging", "purged"}  # the last thing that it says is that it is done
            assert await process.purger.purge(tenant.id, by=OPERATOR) is (state != "purged")
        else:
            break
        finally:
            await dying.close()
        assert await owner.fetchval("SELECT to_regnamespace($1)", tenant.schema) is None
        (certificate,) = [e for e in events_of(settings, None, action="tenant.purged") if e["target_id"] == tenant.id]
        counts = certificate["changes"]["row_counts"]["from"]
        assert (counts["items"], counts["alembic_version"]) == (1, 1)
    assert step > 50


async def _no_reset(_connection: Any) -> None:
    """Keep the pool's own statements out of the count."""
