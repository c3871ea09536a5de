"""An installation for each test that migrates: its platform, its migrations and its tenants are its own."""

import shutil
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from tests.conftest import installed, migrate
from tests.factories import new_slug


@pytest.fixture
def own(admin_url: str, tmp_path: Path, worker_id: str) -> Generator[Settings]:
    """An installation of this test alone, with a copy of the migrations that the test may add to."""
    with installed(admin_url, f"leasehold_fleet_{worker_id}_{new_slug()[2:]}") as settings:
        shutil.copytree(settings.migrations_dir, tmp_path / "migrations")
        for revision in (tmp_path / "migrations" / "tenant" / "versions").glob("*.py"):
            if not revision.name.startswith("0001"):  # the tests write the revisions behind it
                revision.unlink()
        made = settings.model_copy(update={"migrations_dir": tmp_path / "migrations"})
        migrate(made)
        yield made


@pytest.fixture
async def owner(own: Settings) -> AsyncGenerator[Any]:
    assert own.owner_url is not None
    connection = await asyncpg.connect(driver_url(own.owner_url.get_secret_value()))
    yield connection
    await connection.close()


@pytest.fixture
async def admin(own: Settings, admin_url: str) -> AsyncGenerator[Any]:
    """A connection as superuser, for what only an accident could do."""
    database = own.database_url.get_secret_value().rpartition("/")[2]
    connection = await asyncpg.connect(f"{driver_url(admin_url).rpartition('/')[0]}/{database}")
    yield connection
    await connection.close()
