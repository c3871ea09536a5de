"""What the tests of archives share."""

from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url


@pytest.fixture(scope="session")
async def owner(settings: Settings) -> AsyncGenerator[Any]:
    """A connection of the owner, who sees all tenants."""
    assert settings.owner_url is not None
    connection = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    yield connection
    await connection.close()
