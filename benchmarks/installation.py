"""An installation to measure: a PostgreSQL of its own, migrated, with tenants, their items and their API clients."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import structlog
from pydantic import SecretStr
from uuid_utils.compat import uuid7

from benchmarks.machine import parent_of
from benchmarks.peers import ROOT
from benchmarks.progress import say
from leasehold.cli.clients import issue_client
from leasehold.cli.session import run_with
from leasehold.config import Settings
from leasehold.core.actor import Actor
from leasehold.embedded import EmbeddedPostgres
from leasehold.process import Process
from leasehold.tenancy.install import install, with_login
from leasehold.tenancy.names import APP_ROLE, OWNER_ROLE, quoted, schema_name

# Nothing is written to disk in time, and nobody tidies up in the middle of a measurement.
PARAMETERS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "8GB",
    "shared_buffers": "512MB",
}
_DATABASE = "leasehold_bench"
_PASSWORD = "only-for-the-benchmark"
_SCOPES = ("items:read", "items:write")
_AT_ONCE = 4
_SAY_EVERY = 500
_ITEMS = """
INSERT INTO {schema}.items (id, title, description, created_at, updated_at)
SELECT item.id, $2 || ' item ' || item.n, 'Oak, 140 cm wide, 70 cm deep, with two drawers on the left', $3, $3
  FROM unnest($1::uuid[]) WITH ORDINALITY AS item(id, n)
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant that requests are made for, and the credentials of its API client."""

    slug: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Installation:
    """What is measured on. Every tenant has items with the same ids, and titles that begin with its slug."""

    settings: Mapping[str, str]
    """The settings of a production process, as environment variables."""
    app_url: str
    owner_url: str
    postmaster: int
    version: str
    tenants: tuple[Tenant, ...]
    item_ids: tuple[UUID, ...]


@asynccontextmanager
async def installation(folder: Path, *, tenants: int, items: int, pool: int) -> AsyncGenerator[Installation]:
    """Make an installation in a folder; its server is stopped at the end."""
    # One line about each tenant would hide the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with EmbeddedPostgres(folder, parameters=PARAMETERS) as admin_url:
        passwords = {"owner_password": _PASSWORD, "app_password": _PASSWORD}
        await install(admin_url, database=_DATABASE, keep_passwords=False, **passwords)
        app_url = with_login(admin_url, user=APP_ROLE, password=_PASSWORD, database=_DATABASE)
        owner_url = with_login(admin_url, user=OWNER_ROLE, password=_PASSWORD, database=_DATABASE)
        settings = {
            "LEASEHOLD_DATABASE_URL": app_url,
            "LEASEHOLD_DIRECT_URL": app_url,
            "LEASEHOLD_OWNER_URL": owner_url,
            "LEASEHOLD_INSTALLATION_KEY": _leasehold("keys", "generate").strip(),
            "LEASEHOLD_POOL_SIZE": str(pool),
            "LEASEHOLD_LOG_LEVEL": "info",
        }
        _leasehold("migrate", "all", settings=settings)
        made = await run_with(_settings(settings), lambda process: _make_tenants(process, tenants))
        ids = tuple(uuid7() for _ in range(items))
        owner = await asyncpg.connect(owner_url)
        try:
            await _fill(owner, ids)
            postmaster = parent_of(owner.get_server_pid())
            version = await owner.fetchval("SHOW server_version")
        finally:
            await owner.close()
        yield Installation(settings, app_url, owner_url, postmaster, version, made, ids)


def clean_environment() -> dict[str, str]:
    """Return the environment without settings that were meant for another installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LEASEHOLD_")}


def _leasehold(*arguments: str, settings: Mapping[str, str] | None = None) -> str:
    command = [sys.executable, "-m", "leasehold", *arguments]
    environment = clean_environment() | dict(settings or {})
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def _settings(environment: Mapping[str, str]) -> Settings:
    return Settings(
        database_url=SecretStr(environment["LEASEHOLD_DATABASE_URL"]),
        direct_url=SecretStr(environment["LEASEHOLD_DIRECT_URL"]),
        owner_url=SecretStr(environment["LEASEHOLD_OWNER_URL"]),
        installation_key=SecretStr(environment["LEASEHOLD_INSTALLATION_KEY"]),
    )


async def _make_tenants(process: Process, count: int) -> tuple[Tenant, ...]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def make(number: int) -> Tenant:
        slug = f"bench-{number}"
        async with turns:
            if number and number % _SAY_EVERY == 0:
                say(f"made {number:,} of {count:,}")
            await process.provisioner.provision(slug=slug, name="Bench", by=Actor.operator("benchmarks"))
            client = await issue_client(process, slug, name="bench", scopes=_SCOPES)
        return Tenant(slug, str(client.client_id), client.client_secret)

    return tuple(await asyncio.gather(*map(make, range(count))))


async def _fill(owner: "asyncpg.Connection[asyncpg.Record]", ids: tuple[UUID, ...]) -> None:
    now = datetime.now(UTC)
    for tenant_id, slug in await owner.fetch("SELECT id, slug FROM platform.tenants"):
        schema = quoted(schema_name(tenant_id))
        await owner.execute(_ITEMS.format(schema=schema), ids, slug, now)
        await owner.execute(f"VACUUM (ANALYZE) {schema}.items")
    await owner.execute("VACUUM (ANALYZE) platform.tenants")
