"""`leasehold tenants`: what an admin does with tenants, by their slug."""

from collections.abc import Awaitable, Callable

import click
from rich_click import RichGroup

from leasehold.cli.archives import ARCHIVES
from leasehold.cli.clones import clone
from leasehold.cli.entitlements import COMMANDS
from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show, tenant_service
from leasehold.cli.tenant_names import NAMES
from leasehold.cli.tenant_states import STATES, told
from leasehold.cli.top import top
from leasehold.core.pagination import MAX_LIMIT, Pager
from leasehold.platform.tenants.schemas import Tenant, TenantPatch
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process

slug_argument = click.argument("slug")


@click.group(cls=RichGroup)
def tenants() -> None:
    """Provision tenants and rule over them."""


for command in (top, clone, *STATES, *NAMES, *COMMANDS, *ARCHIVES):
    tenants.add_command(command)


@tenants.command()
@slug_argument
@click.option("--name", help="What people call the tenant; the slug if missing.")
@as_json
def create(slug: str, name: str | None, as_json: bool) -> None:
    """Provision a tenant."""

    async def work(process: Process) -> Tenant:
        async with tenant_service(process) as service:
            return await service.provision(slug=slug, name=name or slug, by=operator())

    _show_tenant(run(work), as_json=as_json)


@tenants.command("list")
@as_json
def list_all(as_json: bool) -> None:
    """List all tenants."""

    async def work(process: Process) -> list[Tenant]:
        found: list[Tenant] = []
        cursor: str | None = None
        async with tenant_service(process) as service:
            while True:
                page = await service.page(Pager(process.cursors, MAX_LIMIT, cursor))
                found += page.items
                if page.next_cursor is None:
                    return found
                cursor = page.next_cursor

    found = run(work)
    lines = [
        f"{tenant.slug:<24} {tenant.state:<12} {tenant.revision:<14} {tenant.id}  {tenant.name}" for tenant in found
    ]
    show(found, lines or ["There are no tenants."], as_json=as_json)


@tenants.command("show")
@slug_argument
@as_json
def show_one(slug: str, as_json: bool) -> None:
    """Show one tenant."""

    async def work(process: Process) -> Tenant:
        async with tenant_service(process) as service:
            return await service.find_by_slug(slug)

    _show_tenant(run(work), as_json=as_json)


@tenants.command("flag-canary")
@slug_argument
@click.option("--off", is_flag=True, help="Take the flag away.")
@as_json
def flag_canary(slug: str, off: bool, as_json: bool) -> None:
    """Let migrations go to a tenant before they go to the others."""
    patch = TenantPatch(is_canary=not off)
    _change(slug, lambda service, tenant: service.change(tenant.id, patch, by=operator()), as_json=as_json)


def _change(slug: str, change: Callable[[TenantService, Tenant], Awaitable[Tenant]], *, as_json: bool) -> None:
    async def work(process: Process) -> Tenant:
        async with tenant_service(process) as service:
            return await change(service, await service.find_by_slug(slug))

    _show_tenant(run(work), as_json=as_json)


def _show_tenant(tenant: Tenant, *, as_json: bool) -> None:
    show(tenant, [told(tenant)], as_json=as_json)
