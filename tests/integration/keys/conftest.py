"""An installation whose keys the tests of this folder may change, and processes that run on it."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import psycopg
import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.vault import InstallationKey
from leasehold.main import build_process, running
from leasehold.process import Process
from tests.conftest import installed, migrate
from tests.factories import new_slug

Start = Callable[..., AbstractAsyncContextManager[Process]]


@pytest.fixture(scope="session")
def installation(admin_url: str, worker_id: str) -> Generator[Settings]:
    """An installation for all tests of this folder."""
    with installed(admin_url, f"leasehold_keys_{worker_id}_{new_slug()[2:]}") as made:
        migrate(made)
        yield made


@pytest.fixture
def own(installation: Settings) -> Settings:
    """The installation as it is before its first start: without signing keys and without tenants to speak of."""
    assert installation.owner_url is not None
    with psycopg.connect(driver_url(installation.owner_url.get_secret_value())) as connection:
        connection.execute("DELETE FROM platform.signing_keys")
        connection.execute("UPDATE platform.tenants SET state = 'purged'")
    return installation.model_copy(update={"installation_key": SecretStr(InstallationKey.generate())})


@asynccontextmanager
async def started(settings: Settings) -> AsyncGenerator[Process]:
    """Run a process with these settings."""
    process = build_process(settings)
    async with running(process):
        yield process


@pytest.fixture
def start(own: Settings) -> Start:
    """Starts a process of the installation, with settings that are its own."""
    return lambda **changes: started(own.model_copy(update=changes))


@pytest.fixture
async def owner(own: Settings) -> AsyncGenerator[Any]:
    """A connection of the owner."""
    assert own.owner_url is not None
    connection = await asyncpg.connect(driver_url(own.owner_url.get_secret_value()))
    yield connection
    await connection.close()
