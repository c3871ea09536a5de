"""What rules about the application look at."""

from collections.abc import Generator

import pytest
from litestar import Litestar
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.vault import InstallationKey
from leasehold.main import create_app


@pytest.fixture(scope="module")
def litestar() -> Generator[Litestar]:
    """The application as it is built, connected to nothing."""
    settings = Settings(
        database_url=SecretStr("postgresql://nobody@127.0.0.1:1/nothing"),
        installation_key=SecretStr(InstallationKey.generate()),
        log_level="error",
    )
    app = create_app(settings).app
    yield app
    app.state.process.passwords.close()
