"""Whoever closes connections comes to an end, whatever is still done with them, and whatever the other end does."""

import asyncio
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from faults.wire import wired
from leasehold.config import Settings
from leasehold.core import lively
from leasehold.core.errors import DatabaseUnavailable
from leasehold.tenancy import connections
from leasehold.tenancy.connections import Connections
from tests.factories import parts_of


async def test_a_connection_that_is_not_given_back_is_broken_off_when_all_are_closed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_GIVEN_BACK_S", 0.2)
    lent, closed = asyncio.Event(), asyncio.Event()
    lender = Connections(settings.database_url.get_secret_value(), size=1)

    async def keep() -> None:
        async with lender.connection() as connection:
            lent.set()
            await closed.wait()
            await connection.execute("SELECT 1")

    keeping = asyncio.create_task(keep())
    async with asyncio.timeout(60):
        await lent.wait()
        async with asyncio.timeout(10):
            await lender.close()
        closed.set()
        with pytest.raises(DatabaseUnavailable):
            await keeping


async def test_a_process_closes_though_its_database_stands_still(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel at the other end confirms what is sent, so that nothing is found dead."""
    monkeypatch.setattr(lively, "FAREWELL_S", 0.2)
    assert settings.owner_url is not None
    async with wired(*_place_of(settings.database_url)) as wire:
        through = {name: _through(getattr(settings, name), wire.port) for name in ("database_url", "owner_url")}
        async with asyncio.timeout(30):
            async with parts_of(settings.model_copy(update=through | {"pool_size": 3})) as process:
                await process.database.fill_pool()
                await process.readers.fill()
                async with process.owner.connection():
                    pass
                wire.delay_s = 3600
        assert (process.database.pool.checkedin(), process.readers.open, wire.delayed > 0) == (0, 0, True)


def _place_of(url: SecretStr) -> tuple[str, int]:
    parts = urlsplit(url.get_secret_value())
    return str(parts.hostname), int(parts.port or 5432)


def _through(url: SecretStr, port: int) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    return SecretStr(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl())
