"""A process with a worker's connections, and an empty queue for each test."""

from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.budget import worker_budget
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.log import configure_logging
from leasehold.main import build_process, running
from leasehold.process import Process
from tests.queued import empty_queue


@pytest.fixture(scope="session")
async def process(settings: Settings) -> AsyncGenerator[Process]:
    """The parts of the process that workers run in, in place of a server's."""
    configure_logging(level=settings.log_level, form=settings.log_format)
    made = build_process(settings, budget=worker_budget(jobs=8))
    async with running(made):
        yield made


@pytest.fixture
async def owner(settings: Settings) -> AsyncGenerator[DriverConnection]:
    """A connection of the owner, who sees all rows there are, to an empty queue."""
    assert settings.owner_url is not None
    connection: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    await empty_queue(connection)
    yield connection
    await connection.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once."""

    def wait_not(_attempt: int) -> float:
        return 0.0

    monkeypatch.setattr("leasehold.worker.worker.backoff_s", wait_not)
