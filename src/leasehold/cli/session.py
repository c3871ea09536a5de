"""Opens what a command needs of an installation, by the same parts and services as the server."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click
import msgspec

from leasehold.cli.installation import installation
from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.main import build_process, closing
from leasehold.platform.lifecycle.service import LifecycleService
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.registry import tenant_ref_by_slug

T = TypeVar("T")


def run(work: Callable[[Process], Coroutine[Any, Any, T]]) -> T:
    """Run `work` on the installation of this command, and close what it opened."""
    with installation() as settings:
        return asyncio.run(run_with(settings, work))


async def run_with(settings: Settings, work: Callable[[Process], Coroutine[Any, Any, T]]) -> T:
    """Run `work` on the parts of a process that serves nobody."""
    process = build_process(settings)
    async with closing(process):
        return await work(process)


@asynccontextmanager
async def tenant_service(process: Process) -> AsyncGenerator[TenantService]:
    """Open a transaction on the platform with the service that admins use."""
    async with tenant_services(process) as (tenants, _):
        yield tenants


@asynccontextmanager
async def tenant_services(process: Process) -> AsyncGenerator[tuple[TenantService, LifecycleService]]:
    """Open a transaction on the platform with the services of tenants and of their states."""
    async with platform_session(process.database) as session:
        settings = process.settings
        tenants = TenantService(
            session,
            process.provisioner,
            base_domain=settings.base_domain,
            vacancies=settings.vacancies,
            former_slug_seconds=settings.former_slug_seconds,
        )
        yield tenants, LifecycleService(session, grace=settings.deletion_grace)


async def find_tenant(process: Process, slug: str) -> TenantRef:
    """Return an active tenant by its slug.

    Raises:
        NoActiveTenant: there is none.
    """
    async with platform_session(process.database) as session:
        return await tenant_ref_by_slug(session, slug)


def show(value: object, lines: list[str], *, as_json: bool) -> None:
    """Print a result for a program or for a person."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())
    else:
        for line in lines:
            click.echo(line)
