"""`leasehold keys`: the installation key, the keys that sign access tokens, and the tenants' peppers."""

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

import click
from rich.console import Console
from rich.progress import Progress
from rich_click import RichGroup

from leasehold.cli.installation import installation, owner_url_of
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show
from leasehold.core.database import platform_session
from leasehold.core.vault import InstallationKey
from leasehold.main import installation_key
from leasehold.platform.features import WRAPPED_OF_PLATFORM
from leasehold.platform.keys.schemas import Rotation, SigningKey
from leasehold.platform.keys.service import OVERLAP_S, KeyService
from leasehold.process import Process
from leasehold.tenancy.secrets import FoundSecret, OwnedTenant, Report, change_secrets, owned_tenants, rewrap_all
from leasehold.workspace.auth.pepper import TENANT_SECRETS, next_pepper_sql
from leasehold.workspace.features import WRAPPED

_MAX_OVERLAP_S = 7 * 24 * 3600
_FRESH_PEPPER = timedelta(hours=1)


class NextKeyPending(RuntimeError):
    """LEASEHOLD_NEXT_INSTALLATION_KEY is still the next one: first make it LEASEHOLD_INSTALLATION_KEY everywhere."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@click.group(cls=RichGroup)
def keys() -> None:
    """Make, list and rotate the keys of an installation."""


@keys.command()
def generate() -> None:
    """Print a new installation key for LEASEHOLD_INSTALLATION_KEY."""
    click.echo(InstallationKey.generate())


@keys.command("list")
@as_json
def list_all(as_json: bool) -> None:
    """List the keys that sign access tokens, in the order in which they do."""

    async def work(process: Process) -> list[SigningKey]:
        async with platform_session(process.database) as session:
            return await KeyService(session, process.key).all()

    found = run(work)
    lines = [_line(key) for key in found]
    show(found, lines or ["There is no key yet; the first start of the server makes one."], as_json=as_json)


@keys.command()
@click.option("--now", is_flag=True, help="Sign by it at once and accept no token of the others: for a leaked key.")
@click.option(
    "--overlap",
    default=OVERLAP_S,
    show_default=True,
    type=click.IntRange(1, _MAX_OVERLAP_S),
    help="Seconds for which it is published before it signs.",
)
@as_json
def rotate(*, now: bool, overlap: int, as_json: bool) -> None:
    """Publish the next key for access tokens, which signs after a while; the old one is retired then.

    While one waits for its time there is no other: run it again to see which, and when.
    """

    async def work(process: Process) -> Rotation:
        async with platform_session(process.database) as session:
            service = KeyService(session, process.key)
            await service.ensure_first()
            return await service.replace() if now else await service.rotate(overlap_s=overlap)

    rotation = run(work)
    lines = [] if rotation.is_new else ["The next key is published already; no other was made."]
    show(rotation, [*lines, _line(rotation.key)], as_json=as_json)


@keys.command("rotate-installation-key")
def rotate_installation_key() -> None:
    """Wrap by LEASEHOLD_INSTALLATION_KEY what is still wrapped by LEASEHOLD_FORMER_INSTALLATION_KEY.

    It may be interrupted, and run again for the rest.
    """
    with installation() as settings, _progress() as report:
        if settings.next_installation_key is not None:
            raise NextKeyPending
        key = installation_key(settings)
        done = asyncio.run(
            rewrap_all(owner_url_of(settings), key, WRAPPED, of_platform=WRAPPED_OF_PLATFORM, report=report)
        )
    click.echo(f"{done.rewrapped} of {done.secrets} secrets were wrapped anew, all others were already.")
    if done.unreadable:
        click.echo(f"not readable by either key: those of {', '.join(sorted(done.unreadable))}", err=True)
        sys.exit(1)


@keys.command("rotate-pepper")
@click.argument("slug", required=False)
@click.option("--all", "every", is_flag=True, help="Every tenant whose pepper is older than an hour.")
def rotate_pepper(slug: str | None, *, every: bool) -> None:
    """Give a tenant a new pepper, by which secrets are stored from now on.

    Secrets stay valid: those of the former pepper are stored anew when they are next used. An interrupted `--all` is
    run again for the rest.
    """
    if (slug is None) != every:
        raise click.UsageError("Name a tenant, or say --all.")
    with installation() as settings, _progress() as report:
        key, owner_url = installation_key(settings), owner_url_of(settings)
        age = _FRESH_PEPPER if every else timedelta()
        rotated: list[str] = []

        def change(tenant: OwnedTenant, secrets: list[FoundSecret]) -> list[str]:
            statements = next_pepper_sql(key, tenant, secrets, unless_younger_than=age)
            rotated.extend([tenant.slug] if statements else [])
            return statements

        async def work() -> int:
            tenants = await owned_tenants(owner_url, slug=slug)
            await change_secrets(owner_url, tenants, [TENANT_SECRETS], change, report=report)
            return len(tenants)

        total = asyncio.run(work())
    click.echo(f"{len(rotated)} of {total} tenants got a new pepper.")


def _line(key: SigningKey) -> str:
    until = f"until {key.signs_until:%Y-%m-%d %H:%M:%S}" if key.signs_until else ""
    return f"{key.kid}  {key.state:<9}  signs from {key.signs_from:%Y-%m-%d %H:%M:%S} UTC {until}".rstrip()


@contextmanager
def _progress() -> Generator[Report]:
    """Show how many tenants are done: a bar on a terminal, a line for each batch elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: click.echo(f"{done} of {total} tenants", err=True)
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("tenants", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
