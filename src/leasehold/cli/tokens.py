"""`leasehold tokens`: access to the platform API."""

from datetime import timedelta

import click
from rich_click import RichGroup

from leasehold.cli.operator import operator
from leasehold.cli.session import run
from leasehold.core.database import platform_session
from leasehold.platform.admins.service import AdminService
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.process import Process


@click.group(cls=RichGroup)
def tokens() -> None:
    """Give admins access to the platform API."""


@tokens.command()
@click.argument("admin")
@click.option("--scope", "scopes", multiple=True, help="May be given several times; all platform scopes if missing.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 365), help="Days until it is void.")
def create(admin: str, scopes: tuple[str, ...], days: int) -> None:
    """Make a token for an admin and print it, this once."""

    async def work(process: Process) -> str:
        return await issue_admin_token(process, admin, scopes=scopes or tuple(sorted(PLATFORM_SCOPES)), days=days)

    click.echo(run(work))


async def issue_admin_token(process: Process, admin: str, *, scopes: tuple[str, ...], days: int) -> str:
    """Make a token for the admin of this name, who is made if there is none, and return it."""
    async with platform_session(process.database) as session:
        service = AdminService(session, process.key)
        return await service.issue_token(admin_name=admin, scopes=scopes, lifetime=timedelta(days=days), by=operator())
