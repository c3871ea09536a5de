"""`leasehold clients`: the first credential of a tenant."""

import click
from rich_click import RichGroup

from leasehold.cli.operator import operator
from leasehold.cli.session import find_tenant, run, show
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.clients.schemas import NewApiClient
from leasehold.workspace.clients.service import ApiClientService
from leasehold.workspace.scopes import ALL_SCOPES


@click.group(cls=RichGroup)
def clients() -> None:
    """Give programs access to a tenant."""


@clients.command()
@click.argument("slug")
@click.option("--name", default="default", show_default=True, help="What the client is for.")
@click.option("--scope", "scopes", multiple=True, help="May be given several times; all scopes if missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(slug: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make an API client of a tenant and print its secret, this once."""

    async def work(process: Process) -> NewApiClient:
        return await issue_client(process, slug, name=name, scopes=scopes or tuple(sorted(ALL_SCOPES)))

    client = run(work)
    lines = [f"client_id={client.client_id}", f"client_secret={client.client_secret}"]
    show(client, lines, as_json=as_json)


async def issue_client(process: Process, slug: str, *, name: str, scopes: tuple[str, ...]) -> NewApiClient:
    """Make an API client in the tenant with this slug and return it with its secret."""
    tenant = await find_tenant(process, slug)
    async with open_tenant_session(process.database, tenant) as session:
        pepper = await read_pepper(session, process.key, tenant)
        return await ApiClientService(session=session).issue(
            tenant=tenant, name=name, scopes=scopes, pepper=pepper, by=operator()
        )
