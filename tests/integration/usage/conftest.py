"""What is written of usage, as the owner sees it."""

from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import DriverConnection, driver_url


@pytest.fixture
async def owner(settings: Settings) -> AsyncGenerator[DriverConnection]:
    """A connection of the owner, who sees all rows there are."""
    assert settings.owner_url is not None
    connection: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    yield connection
    await connection.close()
