"""By which names a tenant is reached: its slug, and domains of its own."""

from collections.abc import Sequence

import click
from rich_click import RichCommand

from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show, tenant_service
from leasehold.core.pagination import MAX_LIMIT, Pager
from leasehold.platform.tenants.schemas import Domain, Tenant, TenantPatch
from leasehold.process import Process

_slug_argument = click.argument("slug")
_hostname_argument = click.argument("hostname")


@click.command(cls=RichCommand)
@_slug_argument
@click.argument("new_slug")
@as_json
def rename(slug: str, new_slug: str, as_json: bool) -> None:
    """Give a tenant another slug; the host of the former one sends requests on for a while."""

    async def work(process: Process) -> Tenant:
        async with tenant_service(process) as service:
            tenant = await service.find_by_slug(slug)
            return await service.change(tenant.id, TenantPatch(slug=new_slug), by=operator())

    tenant = run(work)
    show(tenant, [f"{slug} is {tenant.slug} now."], as_json=as_json)


@click.command(cls=RichCommand)
@_slug_argument
@as_json
def domains(slug: str, as_json: bool) -> None:
    """List the domains of a tenant's own."""

    async def work(process: Process) -> list[Domain]:
        found: list[Domain] = []
        cursor: str | None = None
        async with tenant_service(process) as service:
            tenant = await service.find_by_slug(slug)
            while True:
                page = await service.domains(tenant.id, Pager(process.cursors, MAX_LIMIT, cursor))
                found += page.items
                if page.next_cursor is None:
                    return found
                cursor = page.next_cursor

    found = run(work)
    show(found, [domain.hostname for domain in found] or [f"{slug} has no domain of its own."], as_json=as_json)


@click.command("add-domain", cls=RichCommand)
@_slug_argument
@_hostname_argument
@as_json
def add_domain(slug: str, hostname: str, as_json: bool) -> None:
    """Let a tenant answer on a domain of its own."""

    async def work(process: Process) -> Domain:
        async with tenant_service(process) as service:
            tenant = await service.find_by_slug(slug)
            return await service.add_domain(tenant.id, hostname, by=operator())

    domain = run(work)
    show(domain, [f"{slug} answers on {domain.hostname}."], as_json=as_json)


@click.command("remove-domain", cls=RichCommand)
@_slug_argument
@_hostname_argument
def remove_domain(slug: str, hostname: str) -> None:
    """Take a domain from a tenant, which then answers there no more."""

    async def work(process: Process) -> None:
        async with tenant_service(process) as service:
            tenant = await service.find_by_slug(slug)
            await service.remove_domain(tenant.id, hostname, by=operator())

    run(work)
    click.echo(f"{slug} does not answer on {hostname} any more.")


NAMES: Sequence[click.Command] = (rename, domains, add_domain, remove_domain)
