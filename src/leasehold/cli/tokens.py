"""`leasehold tokens`: tokens of admins, for scripts."""

from datetime import timedelta
from uuid import UUID

import click
from rich_click import RichGroup

from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show
from leasehold.core.database import platform_session
from leasehold.platform.admins.service import AdminService
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.platform.tokens.schemas import MAX_DAYS, AdminToken, NewAdminToken
from leasehold.platform.tokens.service import AdminTokenService
from leasehold.process import Process


@click.group(cls=RichGroup)
def tokens() -> None:
    """Give scripts access to the platform API, each by a token of an admin."""


@tokens.command()
@click.argument("admin")
@click.option("--scope", "scopes", multiple=True, help="May be given several times; all that the admin has if missing.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, MAX_DAYS), help="Days until it is void.")
def create(admin: str, scopes: tuple[str, ...], days: int) -> None:
    """Make a token of an admin and print it, this once. An admin of a new name is made, and has all scopes."""

    async def work(process: Process) -> NewAdminToken:
        return await issue_admin_token(process, admin, scopes=scopes, days=days)

    click.echo(run(work).token)


@tokens.command("list")
@click.argument("admin", required=False)
@as_json
def list_all(admin: str | None, *, as_json: bool) -> None:
    """List the tokens that have not expired, of all admins or of one."""

    async def work(process: Process) -> list[AdminToken]:
        async with platform_session(process.database) as session:
            of = (await AdminService(session, process.key).named(admin)).id if admin else None
            return await AdminTokenService(session, process.key).all_of(of)

    found = run(work)
    lines = [
        f"{token.id}  {token.admin_name}  until {token.expires_at:%Y-%m-%d %H:%M} UTC  {' '.join(token.scopes)}"
        for token in found
    ]
    show(found, lines or ["There is no token."], as_json=as_json)


@tokens.command()
@click.argument("token_id", type=click.UUID)
def revoke(token_id: UUID) -> None:
    """Refuse a token from now on, by its id."""

    async def work(process: Process) -> None:
        async with platform_session(process.database) as session:
            await AdminTokenService(session, process.key).revoke(token_id, by=operator())

    run(work)
    click.echo(f"{token_id} is revoked.")


async def issue_admin_token(process: Process, name: str, *, scopes: tuple[str, ...] = (), days: int) -> NewAdminToken:
    """Make a token for the admin of this name, who is made if there is none; with all their scopes if none is named."""
    by = operator()
    async with platform_session(process.database) as session:
        admins = AdminService(session, process.key)
        admin = await admins.by_name(name) or await admins.create(name, scopes=sorted(PLATFORM_SCOPES), by=by)
        return await AdminTokenService(session, process.key).issue(
            admin, scopes=scopes or admin.scopes, lifetime=timedelta(days=days), by=by
        )
