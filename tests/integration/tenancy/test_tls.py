"""Whether the line to PostgreSQL is encrypted, and the server proven, is decided by the URLs, for every connection."""

import certifi
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.database import open_engine
from leasehold.core.errors import DatabaseUnavailable
from leasehold.tenancy.context import TenantRef
from tests.factories import parts_of


@pytest.mark.parametrize("mode", ["disable", "prefer", "allow"])
async def test_a_url_with_options_connects(settings: Settings, mode: str) -> None:
    engine = open_engine(f"{settings.database_url.get_secret_value()}?sslmode={mode}", pool_size=None)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT current_user::text")) == "lh_app"
    await engine.dispose()


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_nothing_is_sent_in_the_clear_where_tls_is_demanded(
    settings: Settings, acme: TenantRef, mode: str
) -> None:
    """The server of the tests has no TLS, so a connection that demands it is none."""
    url = SecretStr(f"{settings.database_url.get_secret_value()}?sslmode={mode}&sslrootcert={certifi.where()}")
    async with parts_of(settings.model_copy(update={"database_url": url, "direct_url": url})) as process:
        with pytest.raises(OSError, match="SSL"):
            await process.database.fill_pool()
        with pytest.raises(DatabaseUnavailable):
            await process.readers.acquire(acme.id)


def test_the_settings_take_the_path_of_a_certificate(settings: Settings) -> None:
    url = "postgresql://lh_app:secret@db.example:5432/leasehold?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem"
    made = Settings(database_url=SecretStr(url), installation_key=settings.installation_key)
    assert made.database_url.get_secret_value() == url
