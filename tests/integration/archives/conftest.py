"""What the tests of archives share."""

import shutil
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.process import Process
from tests.conftest import installed, migrate
from tests.factories import new_slug, parts_of


async def as_owner(settings: Settings) -> Any:
    """Return a connection of the owner, who sees all tenants."""
    assert settings.owner_url is not None
    return await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))


@pytest.fixture(scope="session")
async def owner(settings: Settings) -> AsyncGenerator[Any]:
    """A connection of the owner of the usual installation."""
    connection = await as_owner(settings)
    yield connection
    await connection.close()


@pytest.fixture
def elsewhere(admin_url: str, tmp_path: Path, worker_id: str) -> Generator[Settings]:
    """Another installation, with a key of its own, whose code is older: its history ends with 0009."""
    with installed(admin_url, f"leasehold_archive_{worker_id}_{new_slug()[2:]}") as settings:
        shutil.copytree(settings.migrations_dir, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
        for revision in (tmp_path / "migrations" / "tenant" / "versions").glob("*.py"):
            if revision.name >= "0010":
                revision.unlink()
        made = settings.model_copy(update={"migrations_dir": tmp_path / "migrations"})
        migrate(made)
        yield made


@pytest.fixture
async def there(elsewhere: Settings) -> AsyncGenerator[Process]:
    """The parts of a process of that installation."""
    async with parts_of(elsewhere) as made:
        yield made
