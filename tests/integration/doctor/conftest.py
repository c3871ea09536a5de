"""An installation of these tests alone, in good health but for what a test plants and takes away again."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from leasehold.cli.doctor import code_of
from leasehold.config import Settings
from leasehold.core.clock import utc_now
from leasehold.core.database import DriverConnection, driver_url
from leasehold.main import build_process, installation_key, running
from leasehold.platform.backups.names import begun_path, record_path
from leasehold.platform.backups.objects import open_objects
from leasehold.platform.backups.schemas import Result, RunBegun, RunRecord, Target
from leasehold.platform.backups.store import BackupStore
from leasehold.tenancy.archive.manifest import KeyDerivation
from leasehold.tenancy.doctor.examination import Report, examine
from leasehold.tenancy.doctor.finding import Finding
from leasehold.tenancy.doctor.site import Code, Site, open_site
from tests.conftest import installed, migrate
from tests.factories import new_slug, provisioned

_WORKER = """
INSERT INTO platform.job_workers (id, host, pid, started_at, seen_at)
VALUES (gen_random_uuid(), 'here', 1, now(), now() + interval '20 seconds')
"""


@pytest.fixture(scope="session")
def healthy(admin_url: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Settings]:
    """Settings of an installation with two tenants, a signing key, a worker, and a run of backups."""
    name = f"leasehold_doctor_{worker_id}_{new_slug()[2:]}"
    with installed(admin_url, name) as settings:
        migrate(settings)
        asyncio.run(_live_in(settings))
        url = f"file://{tmp_path_factory.mktemp('backups')}"
        write_run(url)
        with psycopg.connect(f"{admin_url.rpartition('/')[0]}/{name}", autocommit=True) as admin:
            admin.execute(SQL("ALTER DATABASE {} SET timezone = 'UTC'").format(Identifier(name)))
        yield settings.model_copy(update={"backup_url": url, "backup_passphrase": SecretStr("a passphrase of twelve")})


def write_run(url: str, *, failed: int = 0, hours_ago: float = 1, is_whole: bool = True) -> None:
    """Write down in a store of backups that a run has ended."""
    store = BackupStore(open_objects(url))
    at = utc_now() - timedelta(hours=hours_ago)
    key = KeyDerivation("00", 8, 1, "")
    result = Result(Target(UUID(int=1), "acme"), "failed", reason="it is being migrated")
    store.write(begun_path(at), RunBegun(at, "0.1.0", is_whole, key))
    store.write(
        record_path(at), RunRecord(at, at, "0.1.0", is_whole, 1, 0, 0, 0, 0, failed=(result,) * failed, deleted=0)
    )


async def _live_in(settings: Settings) -> None:
    process = build_process(settings)
    async with running(process):
        for slug in ("acme", "globex"):
            await provisioned(process, slug)


@pytest.fixture
async def admin(healthy: Settings, admin_url: str) -> AsyncGenerator[Any]:
    """A connection as superuser to that installation."""
    database = healthy.database_url.get_secret_value().rpartition("/")[2]
    connection = await asyncpg.connect(f"{driver_url(admin_url).rpartition('/')[0]}/{database}")
    await connection.execute("DELETE FROM platform.job_workers")
    await connection.execute(_WORKER)
    yield connection
    await connection.close()


@pytest.fixture
async def in_vain(admin: Any) -> AsyncGenerator[Any]:
    """That connection in a transaction that is undone at the end."""
    transaction = admin.transaction()
    await transaction.start()
    yield admin
    await transaction.rollback()


@cache
def _code() -> Code:
    """Return what this release expects, which all of these installations share."""
    anybody = SecretStr("postgresql://nobody@localhost/nowhere")
    return code_of(Settings(database_url=anybody, installation_key=anybody))


@asynccontextmanager
async def site_of(settings: Settings, *, is_deep: bool = False) -> AsyncGenerator[Site]:
    """Open an installation as the doctor does."""
    async with open_site(settings, _code(), installation_key(settings), is_deep=is_deep) as site:
        yield site


async def examined(settings: Settings, *checks: str, is_deep: bool = False) -> Report:
    """Examine an installation as the command does."""
    async with site_of(settings, is_deep=is_deep) as site:
        return await examine(site, checks)


async def examined_on(connection: DriverConnection, settings: Settings, *checks: str) -> Report:
    """Examine an installation on a connection that sees what nobody else does."""
    async with site_of(settings) as site:
        revision = site.platform_revision
        if revision is not None:
            revision = await connection.fetchval("SELECT version_num FROM platform.alembic_version")
        connections = dict.fromkeys(site.connections, connection)
        return await examine(replace(site, connections=connections, platform_revision=revision), checks)


def the_only(report: Report) -> Finding:
    """Return the finding of a report that has one."""
    assert len(report.findings) == 1, report.findings
    return report.findings[0]
