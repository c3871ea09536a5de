"""`leasehold admins`: who runs the platform."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import click
import msgspec
from rich_click import RichGroup

from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show
from leasehold.core.database import platform_session
from leasehold.platform.admins.schemas import Admin, AdminCreate, AdminPatch, PasswordSetup
from leasehold.platform.admins.service import AdminService
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.process import Process


@click.group(cls=RichGroup)
def admins() -> None:
    """Say who runs the platform, and what each may do."""


@admins.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, help="May be given several times; all platform scopes if missing.")
@as_json
def create(name: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Make an admin, and print the secret by which they choose a password, this once."""
    try:
        asked = msgspec.convert({"name": name, "scopes": scopes or sorted(PLATFORM_SCOPES)}, AdminCreate)
    except msgspec.ValidationError as error:
        raise click.BadParameter("small letters, digits, '.', '_' and '-'", param_hint="NAME") from error

    async def work(process: Process) -> PasswordSetup:
        async with admin_service(process) as service:
            admin = await service.create(asked.name, scopes=asked.scopes, by=operator())
            return await service.setup(admin.id, by=operator())

    _show_setup(run(work), as_json=as_json)


@admins.command("list")
@as_json
def list_all(*, as_json: bool) -> None:
    """List all admins."""

    async def work(process: Process) -> list[Admin]:
        async with admin_service(process) as service:
            return await service.all()

    found = run(work)
    show(found, [_line(admin) for admin in found] or ["There is no admin yet."], as_json=as_json)


@admins.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="May be given several times.")
@as_json
def scopes(name: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Say what an admin may do from now on; their tokens can do no more."""
    _change(name, AdminPatch(scopes=list(scopes)), as_json=as_json)


@admins.command()
@click.argument("name")
@as_json
def disable(name: str, *, as_json: bool) -> None:
    """Refuse an admin and all their tokens from now on, and end their log-ins."""
    _change(name, AdminPatch(is_active=False), as_json=as_json)


@admins.command()
@click.argument("name")
@as_json
def enable(name: str, *, as_json: bool) -> None:
    """Let an admin in again."""
    _change(name, AdminPatch(is_active=True), as_json=as_json)


@admins.command()
@click.argument("name")
@click.option("--without-totp", is_flag=True, help="Remove the second factor, too: for who has lost the device.")
@as_json
def reset(name: str, *, without_totp: bool, as_json: bool) -> None:
    """Print another secret by which an admin chooses a password, this once."""

    async def work(process: Process) -> PasswordSetup:
        async with admin_service(process) as service:
            admin = await service.named(name)
            if without_totp:
                await service.remove_totp(admin.id, by=operator())
            return await service.setup(admin.id, by=operator())

    _show_setup(run(work), as_json=as_json)


@asynccontextmanager
async def admin_service(process: Process) -> AsyncGenerator[AdminService]:
    """Open a transaction with the service of admins."""
    async with platform_session(process.database) as session:
        yield AdminService(session, process.key)


def _change(name: str, patch: AdminPatch, *, as_json: bool) -> None:
    async def work(process: Process) -> Admin:
        async with admin_service(process) as service:
            return await service.change((await service.named(name)).id, patch, by=operator())

    admin = run(work)
    show(admin, [_line(admin)], as_json=as_json)


def _show_setup(setup: PasswordSetup, *, as_json: bool) -> None:
    expires_at = f"{setup.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    lines = [f"admin={setup.name}", f"setup_secret={setup.setup_secret}", f"expires_at={expires_at}"]
    show(setup, lines, as_json=as_json)


def _line(admin: Admin) -> str:
    marks = [] if admin.is_active else ["disabled"]
    marks += ["totp"] if admin.has_totp else []
    return f"{admin.name:<20} {','.join(marks) or '-':<14} {' '.join(admin.scopes)}"
