"""What faults are done to, as it is before each of them: a stopped cluster with tenants, from which copies are made."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import SecretStr

from faults.cluster import Cluster
from leasehold.cli.clients import issue_client
from leasehold.cli.session import run_with
from leasehold.config import Settings
from leasehold.core.actor import Actor
from leasehold.core.vault import InstallationKey
from leasehold.process import Process
from leasehold.tenancy.install import install, with_login
from leasehold.tenancy.names import APP_ROLE, OWNER_ROLE
from tests.integration.cli.shell import free_port, leasehold, succeeded

DATABASE = "leasehold_faults"
_PASSWORD = "only-for-faults"
_SCOPES = ("items:read", "items:write", "users:read", "users:write", "tenant:read")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant that asks, by its API client. Its slug is the mark that all its rows carry."""

    slug: str
    schema: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Installation:
    """A cluster that is stopped, and what its processes and tenants need."""

    template: Cluster
    settings: Settings
    tenants: tuple[Tenant, ...]

    @property
    def environment(self) -> dict[str, str]:
        """The settings as an operator gives them to all processes."""
        return environment_of(self.settings)


async def make_installation(folder: Path, *, tenants: int) -> Installation:
    """Make one the way an operator does: `db init`, `migrate all`, and tenants with clients."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # not a line for each tenant
    cluster = Cluster(folder, port=free_port(), parameters={"fsync": "off"})
    await asyncio.to_thread(cluster.create)
    await asyncio.to_thread(cluster.start)
    try:
        passwords = {"owner_password": _PASSWORD, "app_password": _PASSWORD}
        await install(cluster.admin_url, database=DATABASE, keep_passwords=False, **passwords)
        app_url = with_login(cluster.admin_url, user=APP_ROLE, password=_PASSWORD, database=DATABASE)
        owner_url = with_login(cluster.admin_url, user=OWNER_ROLE, password=_PASSWORD, database=DATABASE)
        settings = Settings(
            database_url=SecretStr(app_url),
            direct_url=SecretStr(app_url),
            owner_url=SecretStr(owner_url),
            installation_key=SecretStr(InstallationKey.generate()),
            vacancies=0,
        )
        migrated = await asyncio.to_thread(leasehold, "migrate", "all", env=environment_of(settings))
        succeeded(migrated)
        made = await run_with(settings, lambda process: _make_tenants(process, tenants))
    finally:
        await asyncio.to_thread(cluster.stop)
    return Installation(cluster, settings, made)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the variables from which a process builds its settings."""
    secrets: Mapping[str, SecretStr | None] = {
        "LEASEHOLD_DATABASE_URL": settings.database_url,
        "LEASEHOLD_DIRECT_URL": settings.direct_url,
        "LEASEHOLD_OWNER_URL": settings.owner_url,
        "LEASEHOLD_INSTALLATION_KEY": settings.installation_key,
    }
    return {
        **{name: secret.get_secret_value() for name, secret in secrets.items() if secret is not None},
        "LEASEHOLD_VACANCIES": str(settings.vacancies),
        "LEASEHOLD_LOG_LEVEL": "warning",
    }


async def _make_tenants(process: Process, count: int) -> tuple[Tenant, ...]:
    made: list[Tenant] = []
    for number in range(count):
        slug = f"tenant-{number}"
        ref = await process.provisioner.provision(slug=slug, name=slug, by=Actor.operator("faults"))
        client = await issue_client(process, slug, name="faults", scopes=_SCOPES)
        made.append(Tenant(slug, ref.schema, str(client.client_id), client.client_secret))
    return tuple(made)
