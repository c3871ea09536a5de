"""`leasehold tenants suspend`, `resume`, `maintain`, `delete`, `restore` and `purge`: each state by one command."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import click

from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show, tenant_services
from leasehold.core.clock import utc_now
from leasehold.platform.lifecycle.schemas import MaintenanceBegin
from leasehold.platform.lifecycle.service import LifecycleService
from leasehold.platform.tenants.schemas import Tenant
from leasehold.process import Process

slug_argument = click.argument("slug")
Change = Callable[[LifecycleService, Tenant], Awaitable[Tenant]]


@click.command()
@slug_argument
@as_json
def suspend(slug: str, as_json: bool) -> None:
    """Refuse all requests of a tenant, within a second."""
    _change(slug, lambda service, tenant: service.suspend(tenant.id, by=operator()), as_json=as_json)


@click.command()
@slug_argument
@as_json
def resume(slug: str, as_json: bool) -> None:
    """Serve a tenant again that is suspended or in maintenance."""

    def change(service: LifecycleService, tenant: Tenant) -> Awaitable[Tenant]:
        end = service.end_maintenance if tenant.state == "maintenance" else service.resume
        return end(tenant.id, by=operator())

    _change(slug, change, as_json=as_json)


@click.command()
@slug_argument
@click.option("--read-only", is_flag=True, help="Let it be read meanwhile.")
@click.option("--minutes", type=click.IntRange(1), help="How long this is planned for; clients are told.")
@as_json
def maintain(slug: str, read_only: bool, minutes: int | None, as_json: bool) -> None:
    """Answer 503 in place of a tenant, within a second, until `resume`."""
    how = MaintenanceBegin(read_only, utc_now() + timedelta(minutes=minutes) if minutes else None)
    _change(slug, lambda service, tenant: service.maintain(tenant.id, how, by=operator()), as_json=as_json)


@click.command()
@slug_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def delete(slug: str, yes: bool, as_json: bool) -> None:
    """Stop serving a tenant; until its grace is over it can be restored."""
    if not yes:
        click.confirm(f"Delete the tenant {slug}?", abort=True, err=True)
    _change(slug, lambda service, tenant: service.delete(tenant.id, by=operator()), as_json=as_json)


@click.command()
@slug_argument
@as_json
def restore(slug: str, as_json: bool) -> None:
    """Undo the deletion of a tenant: it is as it was, its state and tokens included."""
    _change(slug, lambda service, tenant: service.restore(tenant.id, by=operator()), as_json=as_json)


@click.command()
@slug_argument
@click.option("--yes-really", is_flag=True, required=True, help="Nothing brings it back.")
@as_json
def purge(slug: str, yes_really: bool, as_json: bool) -> None:
    """Destroy all that a deleted tenant has, before its grace is over."""
    if not yes_really:
        raise click.UsageError("say --yes-really")

    async def work(process: Process) -> Tenant:
        async with tenant_services(process) as (tenants, lifecycle):
            tenant = await lifecycle.purge((await tenants.find_by_slug(slug)).id, slug=slug, by=operator())
        await process.purger.purge(tenant.id, by=operator())
        async with tenant_services(process) as (tenants, _):
            return await tenants.find(tenant.id)

    tenant = run(work)
    show(tenant, [f"{slug} is {tenant.state}; its id was {tenant.id}."], as_json=as_json)


def _change(slug: str, change: Change, *, as_json: bool) -> None:
    async def work(process: Process) -> Tenant:
        async with tenant_services(process) as (tenants, lifecycle):
            return await change(lifecycle, await tenants.find_by_slug(slug))

    tenant = run(work)
    show(tenant, [told(tenant)], as_json=as_json)


def told(tenant: Tenant) -> str:
    """Return the line about one tenant."""
    line = f"{tenant.slug} is {tenant.state}: {tenant.name}, id {tenant.id}, at revision {tenant.revision}."
    if tenant.is_read_only:
        line += " It can be read."
    if tenant.maintenance_ends_at:
        line += f" This is planned until {tenant.maintenance_ends_at:%Y-%m-%d %H:%M} UTC."
    if tenant.purge_at:
        line += f" After {tenant.purge_at:%Y-%m-%d %H:%M} UTC it is purged, unless it is restored."
    return line


STATES = (suspend, resume, maintain, delete, restore, purge)
"""The commands."""
