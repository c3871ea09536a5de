"""What the tests of backups share."""

from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from leasehold.config import Settings, keep_of
from leasehold.core.database import platform_session
from leasehold.platform.backups.objects import open_objects
from leasehold.platform.backups.service import BackupService, Keeping
from leasehold.platform.backups.store import BackupStore
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.archives import purged
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, new_slug, parts_of
from tests.integration.archives.conftest import as_owner
from tests.stores import BUCKET, s3_server, use

KEEP = keep_of("all=3d,daily=30d")


@pytest.fixture(scope="session")
def s3() -> Generator[str]:
    """The URL of an S3 server with one bucket."""
    with s3_server() as url:
        yield url


@pytest.fixture(params=["folder", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store, of each kind."""
    if request.param == "folder":
        return f"file://{tmp_path}/a%20folder"
    use(monkeypatch, request.getfixturevalue("s3"))
    return f"s3://{BUCKET}/{uuid4()}"


@pytest.fixture
def store(store_url: str) -> BackupStore:
    """An empty store, of each kind."""
    return BackupStore(open_objects(store_url))


@pytest.fixture(scope="module")
def alone(admin_url: str) -> Generator[Settings]:
    """An installation of these tests alone, for a run is over all tenants of one."""
    with installed(admin_url, f"leasehold_runs_{new_slug()[2:]}") as made:
        migrate(made)
        yield made


@pytest.fixture
async def parts(alone: Settings) -> AsyncGenerator[Process]:
    """The parts of a process of it."""
    async with parts_of(alone) as made:
        yield made


@pytest.fixture
async def acme(parts: Process) -> AsyncGenerator[TenantRef]:
    """The one tenant of the installation, which is gone at the end of the test."""
    tenant = await parts.provisioner.provision(slug=new_slug(), name="Acme", by=OPERATOR)
    yield tenant
    owner = await as_owner(parts.settings)
    if await owner.fetchval("SELECT state FROM platform.tenants WHERE id = $1", tenant.id) not in ("purged", "deleted"):
        await purged(parts, tenant.id)
    await owner.close()


def service_of(process: Process, store: BackupStore) -> BackupService:
    return BackupService(
        partial(platform_session, process.database),
        store,
        process.exporter,
        process.platform_exporter,
        Keeping(KEEP, purged=timedelta(days=30)),
    )
