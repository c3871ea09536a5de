"""The archive of a platform: what another installation gets of it, and which one may."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID
from zipfile import ZipFile

import pytest

from leasehold.cli.session import run_with
from leasehold.cli.taking_over import platform_importer
from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.core.models import PlatformModel, travels
from leasehold.platform.keys.service import KeyService
from leasehold.platform.tokens.service import AdminTokenService
from leasehold.process import Process
from leasehold.tenancy.archive.landing import landing
from leasehold.tenancy.archive.reading import ArchiveFile, PlatformArchiveFile
from leasehold.tenancy.archive.refusals import Damaged, NotEmpty, OfAnotherKind, StandsElsewhere, WrongPassphrase
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.taking_over import TakenOver
from leasehold.tenancy.context import TenantRef
from tests.archives import PASSPHRASE, exported, imported, purged, seen
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, admin, item, lifecycle, new_slug
from tests.integration.archives.conftest import as_owner


def work(settings: Settings, what: Callable[[Process], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with the parts of a process of an installation."""
    return asyncio.run(run_with(settings, what))


@contextmanager
def installation(admin_url: str, *, key: Settings | None = None) -> Generator[Settings]:
    """Make a database for an installation, with the key of another one."""
    with installed(admin_url, f"leasehold_backup_{new_slug()[2:]}") as made:
        yield made.model_copy(update={"installation_key": key.installation_key}) if key else made


async def archived(process: Process, file: Path) -> None:
    with landing(file) as sink:
        key = ArchiveKey.new(PASSPHRASE)
        await process.platform_exporter.export(lambda _at: nullcontext(sink), key)


async def load(settings: Settings, file: Path, passphrase: str = PASSPHRASE) -> TakenOver:
    with PlatformArchiveFile(file) as archive:
        return await platform_importer(settings).load(archive, archive.key(passphrase), by=OPERATOR)


async def platform_rows(settings: Settings) -> dict[str, list[str]]:
    """Return all rows of all tables that travel, with secrets as they are when they are opened."""
    owner = await as_owner(settings)
    found = {
        table.name: [row[0] for row in await owner.fetch(f"SELECT t::text FROM platform.{table.name} t ORDER BY 1")]
        for table in PlatformModel.metadata.sorted_tables
        if travels(table) and table.name != "signing_keys"
    }
    await owner.close()
    return found


async def who_holds(process: Process, headers: dict[str, str]) -> UUID:
    async with platform_session(process.database) as session:
        admins = AdminTokenService(session, process.key)
        return (await admins.authenticate(headers["Authorization"].removeprefix("Bearer "))).subject


@dataclass
class Lost:
    """An installation that is gone, but for two archives; and what was in it."""

    settings: Settings
    folder: Path
    tenant: TenantRef
    deleted: str
    headers: dict[str, str]
    rows: dict[str, list[str]]
    of_platform: dict[str, list[str]]


@dataclass
class Made:
    """An installation that has taken it over."""

    settings: Settings
    done: TakenOver
    of_platform: dict[str, list[str]]


@pytest.fixture(scope="module")
def lost(admin_url: str, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """Live for a while in an installation with three tenants and an admin, archive it, and lose it."""
    folder = tmp_path_factory.mktemp("lost")
    slugs = [new_slug() for _ in range(3)]

    async def live(process: Process) -> Lost:
        async with platform_session(process.database) as session:
            await KeyService(session, process.key).ensure_first()
        tenant, deleted, gone = [
            await process.provisioner.provision(slug=slug, name="A tenant", by=OPERATOR) for slug in slugs
        ]
        await item(process, tenant, "Desk")
        headers = await admin(process)
        async with platform_session(process.database) as session:
            await lifecycle(session).delete(deleted.id, by=OPERATOR)
        await purged(process, gone.id)
        await exported(process, tenant.slug, folder / "acme.zip")
        await archived(process, folder / "platform.zip")
        owner = await as_owner(process.settings)
        rows = await seen(owner, tenant.id, tenant.schema, process.key)
        await owner.close()
        before = await platform_rows(process.settings)
        return Lost(process.settings, folder, tenant, deleted.slug, headers, rows, before)

    with installation(admin_url) as settings:
        migrate(settings)
        return work(settings, live)


@pytest.fixture(scope="module")
def made(admin_url: str, lost: Lost) -> Generator[Made]:
    """Take it over, with the same installation key, by a database that has nothing."""
    with installation(admin_url, key=lost.settings) as settings:
        done = asyncio.run(load(settings, lost.folder / "platform.zip"))
        after = asyncio.run(platform_rows(settings))
        migrate(settings)
        yield Made(settings, done, after)


async def forget_tenants(settings: Settings) -> None:
    """Let the end of a test leave the roles of tenants alone, which another database of the server needs."""
    owner = await as_owner(settings)
    await owner.execute("UPDATE platform.tenants SET state = 'purged'")
    await owner.close()


async def states(process: Process) -> dict[str, str]:
    owner = await as_owner(process.settings)
    try:
        return {row["slug"]: row["state"] for row in await owner.fetch("SELECT slug, state FROM platform.tenants")}
    finally:
        await owner.close()


def test_an_empty_installation_gets_every_row_of_the_platform(lost: Lost, made: Made) -> None:
    before, after = lost.of_platform, made.of_platform

    assert (made.done.tenants, made.done.is_from_here, made.done.ended_tokens) == (2, True, 0)
    assert [row for row in after["audit_events"] if "platform.taken_over" not in row] == before["audit_events"]
    changed = ("audit_events", "tenants")
    assert {name: after[name] for name in after if name not in changed} == {
        name: before[name] for name in before if name not in changed
    }


def test_tenants_wait_in_maintenance_and_come_back_under_their_ids(lost: Lost, made: Made) -> None:
    async def come_back(process: Process) -> None:
        owner = await as_owner(process.settings)
        assert await who_holds(process, lost.headers) == await owner.fetchval("SELECT id FROM platform.admins")
        async with platform_session(process.database) as session:
            await KeyService(session, process.key).ensure_first()
            assert len(await KeyService(session, process.key).all()) == 1
        done = await imported(process, lost.folder / "acme.zip")
        assert (done.id, done.slug, done.state) == (lost.tenant.id, lost.tenant.slug, "active")
        assert done.has_kept_id
        after = await seen(owner, lost.tenant.id, lost.tenant.schema, process.key)
        await owner.close()
        assert {name: after[name] for name in after if name != "audit_events"} == {
            name: lost.rows[name] for name in lost.rows if name != "audit_events"
        }

    found = work(made.settings, states)
    assert (found[lost.tenant.slug], found[lost.deleted]) == ("maintenance", "deleted")
    assert sorted(found.values()) == ["deleted", "maintenance", "purged"]
    work(made.settings, come_back)
    assert work(made.settings, states)[lost.tenant.slug] == "active"


def test_another_installation_key_ends_the_tokens_of_admins_and_says_so(admin_url: str, lost: Lost) -> None:
    async def keys_open(process: Process) -> int:
        async with platform_session(process.database) as session:
            await KeyService(session, process.key).ensure_first()
            return len(await KeyService(session, process.key).all())

    with installation(admin_url) as other:
        done = asyncio.run(load(other, lost.folder / "platform.zip"))

        assert (done.is_from_here, done.ended_tokens) == (False, 1)
        assert work(other, keys_open) == 1
        asyncio.run(forget_tenants(other))


def test_an_installation_that_has_somebody_or_stands_elsewhere_is_left_as_it_is(
    lost: Lost, made: Made, tmp_path: Path
) -> None:
    file = lost.folder / "platform.zip"
    before = asyncio.run(platform_rows(made.settings))
    with pytest.raises(NotEmpty, match="has 3 tenants and 1 admins already"):
        asyncio.run(load(made.settings, file))
    with pytest.raises(WrongPassphrase):
        asyncio.run(load(made.settings, file, "some other passphrase"))

    altered = bytearray(file.read_bytes())
    with ZipFile(file) as members:
        member = members.getinfo("tables/admins.copy")
    altered[member.header_offset + 30 + len(member.filename) + 30] ^= 1  # behind its header, in its rows
    (tmp_path / "altered.zip").write_bytes(altered)
    with pytest.raises(Damaged):
        asyncio.run(load(made.settings, tmp_path / "altered.zip"))

    async def stand_at(revision: str) -> str:
        owner = await as_owner(made.settings)
        former = await owner.fetchval("SELECT version_num FROM platform.alembic_version")
        await owner.execute("UPDATE platform.alembic_version SET version_num = $1", revision)
        await owner.close()
        return former

    head = asyncio.run(stand_at("0019"))
    with pytest.raises(StandsElsewhere, match="stands at revision 0019"):
        asyncio.run(load(made.settings, file))
    asyncio.run(stand_at(head))
    assert asyncio.run(platform_rows(made.settings)) == before


async def test_the_archive_of_a_platform_is_not_taken_for_that_of_a_tenant(process: Process, tmp_path: Path) -> None:
    await archived(process, tmp_path / "platform.zip")

    with pytest.raises(OfAnotherKind, match="This is the archive of a platform, not of a tenant"):
        ArchiveFile(tmp_path / "platform.zip")


async def test_no_secret_of_the_platform_is_in_its_archive_as_the_installation_key_wraps_it(
    process: Process, owner: Any, tmp_path: Path
) -> None:
    await archived(process, tmp_path / "platform.zip")

    kept = await owner.fetch("SELECT wrapped FROM platform.signing_keys")
    with PlatformArchiveFile(tmp_path / "platform.zip") as archive:
        (table,) = [table for table in archive.manifest.tables if table.name == "signing_keys"]
        text = b"".join(archive.pieces(table))
    assert table.rows == len(kept) > 0
    assert [row["wrapped"].hex() for row in kept if row["wrapped"].hex().encode() in text] == []


def test_leases_jobs_counters_and_the_change_log_stay_where_they_are() -> None:
    staying = {table.name for table in PlatformModel.metadata.tables.values() if not travels(table)}

    assert staying == {
        "fleet_leases",
        "fleet_results",
        "fleet_runs",
        "job_workers",
        "jobs",
        "periodic_tasks",
        "quotas",
        "registry_changes",
        "tenant_clones",
        "tenant_restores",
        "tenant_revisions",
        "usage_meters",
    }
