"""Servers and installations for the command, apart from those of the other tests: `db init` acts on a whole server."""

import asyncio
from collections.abc import Callable, Generator
from io import StringIO

import pytest
from rich.console import Console

from leasehold.cli.fleet_run import run_migrations
from leasehold.config import Settings
from leasehold.embedded import EmbeddedPostgres
from leasehold.tenancy.install import install
from tests.factories import OPERATOR, parts_of
from tests.integration.cli.shell import FAST, Environment, leasehold, settings_of, succeeded


def settings_for(env: Environment) -> Settings:
    """Return the settings that a process with this environment has."""
    values = {name.removeprefix("LEASEHOLD_").lower(): value for name, value in env.items()}
    return Settings(**values)  # type: ignore[arg-type]  # as the environment gives them


@pytest.fixture(scope="session")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of the superuser of a server that these tests have for themselves."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("cli-server"), parameters=FAST) as url:
        yield url


@pytest.fixture(scope="session")
def prepared(own_server: str) -> Environment:
    """The settings that `db init` printed; nothing is migrated."""
    printed = succeeded(leasehold("db", "init", "--admin-url", own_server, "--database", "leasehold"))
    return settings_of(printed)


@pytest.fixture(scope="session")
def new_database(own_server: str, prepared: Environment) -> Callable[[str], Environment]:
    """Prepares and migrates a database of its own, and returns the settings to use it."""

    def make(name: str) -> Environment:
        asyncio.run(install(own_server, database=name, owner_password="x", app_password="x", keep_passwords=True))
        env = {key: value.replace("/leasehold", f"/{name}") for key, value in prepared.items()}
        run_migrations(settings_for(env), jobs=2, console=Console(file=StringIO()))
        return env

    return make


@pytest.fixture(scope="session")
def installed(new_database: Callable[[str], Environment]) -> Environment:
    """The settings of a migrated installation without tenants."""
    return new_database("installed")


@pytest.fixture(scope="session")
def provision() -> Callable[..., None]:
    """Provisions tenants in an installation by the service that the command uses too."""

    async def work(env: Environment, slugs: tuple[str, ...]) -> None:
        async with parts_of(settings_for(env)) as process:
            for slug in slugs:
                await process.provisioner.provision(slug=slug, name=slug.title(), by=OPERATOR)

    def make(env: Environment, *slugs: str) -> None:
        asyncio.run(work(env, slugs))

    return make
