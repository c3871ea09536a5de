"""The database of the tests comes from the real install, the real migrations and the real provisioning.

Each worker of pytest-xdist has a database of its own on one server: that of TEST_DATABASE_URL, a container where a
Docker engine answers, else the embedded PostgreSQL. LEASEHOLD_TEST_POSTGRES=16 tests on the older embedded one,
17 on that of `just test-on 17`; LEASEHOLD_TEST_PGBOUNCER=1 sends requests through a PgBouncer that has one server
connection.
"""

import asyncio
import gc
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import httpx
import hypothesis
import psycopg
import pytest
from pydantic import SecretStr
from pytest_databases.docker.postgres import PostgresService

from leasehold.cli.fleet_run import fleet_run
from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.vault import InstallationKey
from leasehold.embedded import EmbeddedPostgres
from leasehold.http.request_log import RequestLog
from leasehold.main import create_app, running
from leasehold.process import Process
from leasehold.tenancy import feed
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.plan import RunOptions
from leasehold.tenancy.install import install, with_login
from leasehold.tenancy.names import APP_ROLE, OWNER_ROLE
from tests.bouncer import ASKED
from tests.documented import Documented
from tests.factories import provisioned
from tests.pooler import as_asked

pytest_plugins = ["pytest_databases.docker", "pytest_databases.docker.postgres"]

# The tests of a worker begin with the longest, so that no worker is left alone with one of them at the end.
_FIRST = ("tests/tutorial/", "tests/faults/", "tests/integration/")

# No example is held to a time: on a busy machine any of them may take long, and that says nothing about the product.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

# For a throw-away server: nothing that it holds has to survive it.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
_PASSWORD = "only-for-tests"
# Where `just test-on 17` unpacks it; no package for development carries this one.
_POSTGRES_17 = Path(__file__).resolve().parents[1] / ".venv/postgres-17"
_DROP_ROLES = """
SELECT format('DROP ROLE IF EXISTS %%I', rolname) FROM pg_roles WHERE rolname = ANY(%s)
"""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "not_pooled(why): cannot run where all share one server connection")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage in what is collected, now or later, as a server does with what it begins with."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first, and keep the order otherwise.

    Those that cannot run through a pooler are skipped where there is one, with what they say of it.
    """
    for one in items if ASKED else ():
        if mark := one.get_closest_marker("not_pooled"):
            one.add_marker(pytest.mark.skip(reason=f"not through a pooler: {mark.args[0]}"))
    places = {folder: place for place, folder in enumerate(_FIRST)}

    def place(item: pytest.Item) -> int:
        return next((places[folder] for folder in _FIRST if item.nodeid.startswith(folder)), len(places))

    items.sort(key=place)


def _service(url: str) -> PostgresService:
    parts = urlsplit(url)
    return PostgresService(
        container=None,  # type: ignore[arg-type]  # there is none
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 5432,
        user=unquote(parts.username or "postgres"),
        password=unquote(parts.password or ""),
        database=parts.path.lstrip("/") or "postgres",
    )


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def postgres_service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The server of all tests, as pytest-databases describes one."""
    major = int(os.environ.get("LEASEHOLD_TEST_POSTGRES", "18"))
    with ExitStack() as stack:
        if url := os.environ.get("TEST_DATABASE_URL"):
            yield _service(url)
        elif _docker_answers():
            yield request.getfixturevalue(f"postgres_{major}_service")
        else:
            # Workers share the folder of their controller, and with it one server.
            shared = tmp_path_factory.getbasetemp()
            shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
            assert major in (16, 17, 18)
            programs = _POSTGRES_17 if major == 17 else None
            server = EmbeddedPostgres(shared / "postgres", major=major, programs=programs, parameters=_FAST)
            yield _service(stack.enter_context(server))


@pytest.fixture(scope="session")
def admin_url(postgres_service: PostgresService) -> str:
    """The URL of an administrator."""
    address = f"postgresql://x@{postgres_service.host}:{postgres_service.port}/x"
    return with_login(
        address, user=postgres_service.user, password=postgres_service.password, database=postgres_service.database
    )


@pytest.fixture(scope="session")
def settings(admin_url: str) -> Generator[Settings]:
    """Settings of an installation whose platform is migrated and which has no tenant."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with installed(admin_url, f"leasehold_test_{worker}_{os.getpid()}") as made:
        migrate(made)
        with as_asked(made) as used:
            yield used


@contextmanager
def installed(admin_url: str, database: str) -> Generator[Settings]:
    """Make a database with the real install, and remove it at the end with its roles."""
    asyncio.run(
        install(admin_url, database=database, owner_password=_PASSWORD, app_password=_PASSWORD, keep_passwords=False)
    )
    app_url = with_login(admin_url, user=APP_ROLE, password=_PASSWORD, database=database)
    yield Settings(
        database_url=SecretStr(app_url),
        direct_url=SecretStr(app_url),
        owner_url=SecretStr(with_login(admin_url, user=OWNER_ROLE, password=_PASSWORD, database=database)),
        installation_key=SecretStr(InstallationKey.generate()),
        base_domain="leasehold.test",
        issuer="https://leasehold.test",
        password_memory_kib=64,
        password_iterations=1,
        rate_limit_address="60000/1m",  # all tests come from one
        tenant_share=1.0,  # tests hold transactions of their own on the tenants that they ask for
        vacancies=0,  # tests that want some say so
        log_level="error",
    )
    drop_database(admin_url, database)


def migrate(settings: Settings) -> None:
    """Bring platform, reference schema and tenants to head, as a deploy does."""
    asyncio.run(fleet_run(settings, RunOptions(jobs=2)).run())


def drop_database(admin_url: str, database: str) -> None:
    """Remove a database with the roles that belong to it alone."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        inside = with_login(admin_url, user="x", password="x", database=database).rpartition("/")[2]
        url = admin_url.rpartition("/")[0] + "/" + inside
        with psycopg.connect(url, autocommit=True, options="-c lock_timeout=60s") as connection:
            roles = [
                row[0]
                for row in connection.execute(
                    "SELECT role_name FROM platform.tenants WHERE state <> 'purged'"
                ).fetchall()
            ]
            oid = connection.execute("SELECT oid FROM pg_database WHERE datname = %s", [database]).fetchone()
        assert oid is not None
        roles.append(f"lh_reference_{oid[0]}")
        admin.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
        for (statement,) in admin.execute(_DROP_ROLES, [roles]).fetchall():
            admin.execute(statement)


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncGenerator[RequestLog]:
    """The whole application, started."""
    made = create_app(settings)
    with pytest.MonkeyPatch.context() as patch:
        # A request that waits for the directory gives up after a second; a test needs to see what it has written.
        patch.setattr(feed, "_CAUGHT_UP_TIMEOUT_S", 60.0)
        # Not `app.lifespan()`: its task group must end in the task that began it, and a fixture's two halves have two.
        async with running(made.app.state.process):
            yield made


@pytest.fixture(scope="session")
def process(app: RequestLog) -> Process:
    """The parts of the process that the application runs in."""
    return app.app.state.process


@pytest.fixture
async def owner(settings: Settings) -> AsyncGenerator[Any]:
    """A connection of the owner, who sees all rows there are and may look at plans."""
    assert settings.owner_url is not None
    connection: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def http(app: RequestLog, settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the application, on the base host."""
    process: Process = app.app.state.process

    async def refresh(_request: httpx.Request) -> None:
        # Who follows the registry stands still with the loop while tests run that are not asynchronous.
        if process.directory.age_s > settings.directory_max_age_s / 2:
            await process.feed.caught_up()

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    hooks = {"request": [refresh], "response": [Documented(app)]}
    async with httpx.AsyncClient(
        transport=transport, base_url=f"https://{settings.base_domain}", event_hooks=hooks
    ) as client:
        yield client


@pytest.fixture
async def acme(process: Process) -> TenantRef:
    """A tenant of this test alone."""
    return await provisioned(process)


@pytest.fixture
async def globex(process: Process) -> TenantRef:
    """Another tenant of this test alone."""
    return await provisioned(process)


@pytest.fixture
def project() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parents[1]
