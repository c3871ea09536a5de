"""`leasehold restore` and `restores`: a tenant is put back to what a backup of it has, confirmed or undone."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import click
from rich_click import RichGroup

from leasehold.cli.archive_progress import showing
from leasehold.cli.archives import told_of_import
from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.passphrase import passphrase_file, passphrase_from
from leasehold.cli.session import run, show
from leasehold.cli.whole import restore_everything
from leasehold.core.database import platform_session
from leasehold.platform.backups.opening import backup_passphrase, open_store
from leasehold.platform.restores.schemas import Waiting
from leasehold.platform.restores.service import RestoreService
from leasehold.process import Process
from leasehold.tenancy.archive.importing import Imported
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.restores.restoring import Exchanged, PutBack


class Moment(click.ParamType[datetime]):
    """A time by ISO 8601, which says its offset from UTC: without one, half of all people would mean another one."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time that a text names."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value} is no time such as 2026-11-25T18:00:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value} has no offset from UTC, such as Z or +01:00", param, ctx)
        return moment


def restores_of(process: Process) -> RestoreService:
    """Return the service of restores."""
    return RestoreService(partial(platform_session, process.database), process.importer, process.restorer)


@click.command()
@click.argument("tenant", required=False)
@click.option("--at", type=Moment(), help="The newest backup of this time or before, such as 2026-11-25T18:00:00Z.")
@click.option("--in-place", is_flag=True, help="Put the tenant itself back; what it has is kept until you confirm.")
@click.option("--beside", metavar="SLUG", help="Make another tenant of it, under a slug and an id of its own.")
@click.option("--everything", is_flag=True, help="Bring back platform and tenants into an empty installation.")
@click.option("--file", type=click.Path(path_type=Path), help="An archive in a file, in place of the backups.")
@passphrase_file
@as_json
def restore(
    *,
    tenant: str | None,
    at: datetime | None,
    in_place: bool,
    beside: str | None,
    everything: bool,
    file: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Put a tenant back to what a backup of it has, proven equal to what was backed up; the tenant is served meanwhile.

    TENANT is its slug or id. One that was purged comes back as it was. With --everything, an installation that has
    nobody yet becomes the one of the backups; after an interruption it goes on.
    """
    if everything:
        if tenant or in_place or beside or file:
            raise click.UsageError("With --everything say --at alone.")
        passphrase = passphrase_from(passphrase_file, is_new=False) if passphrase_file else None
        restore_everything(at=at, passphrase=passphrase, as_json=as_json)
        return
    if tenant is None:
        raise click.UsageError("Name a tenant, or say --everything.")
    if in_place is (beside is not None):
        raise click.UsageError("Say either --in-place or --beside SLUG.")
    if file is not None and at is not None:
        raise click.UsageError("A file has one time: leave out --at.")
    passphrase = passphrase_from(passphrase_file, is_new=False) if file or passphrase_file else None

    async def work(process: Process) -> PutBack | Imported:
        secret = passphrase or backup_passphrase(process.settings)
        service = restores_of(process)
        async with _archive(service, process, tenant, at=at, file=file) as archive:
            with showing() as progress:
                if beside is not None:
                    return await service.beside(
                        archive, slug=beside, passphrase=secret, by=operator(), progress=progress
                    )
                return await service.in_place(
                    archive, tenant=tenant if file else None, passphrase=secret, by=operator(), progress=progress
                )

    done = run(work)
    show(done, _told(done) if isinstance(done, PutBack) else told_of_import(done), as_json=as_json)


@asynccontextmanager
async def _archive(
    service: RestoreService, process: Process, tenant: str, *, at: datetime | None, file: Path | None
) -> AsyncGenerator[ArchiveFile]:
    if file is not None:
        with ArchiveFile(file) as archive:
            yield archive
        return
    async with service.archive(open_store(process.settings), tenant, at=at) as (archive, backup):
        click.echo(f"The backup of {backup.at:%Y-%m-%d %H:%M:%S} UTC, {backup.bytes} bytes.", err=True)
        yield archive


@click.group(cls=RichGroup)
def restores() -> None:
    """Confirm or undo what `restore --in-place` has done."""


@restores.command("list")
@as_json
def list_all(as_json: bool) -> None:
    """List the tenants that were put back, and wait to be confirmed or undone."""
    found = run(lambda process: restores_of(process).waiting())
    show(found, [_waiting(one) for one in found] or ["Nothing waits to be confirmed."], as_json=as_json)


@restores.command()
@click.argument("tenant")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def confirm(tenant: str, yes: bool, as_json: bool) -> None:
    """Destroy what is kept for a tenant that was put back, with a certificate in the audit log."""
    seen = run(lambda process: restores_of(process).waiting_for(tenant))
    if not yes:
        click.echo(_waiting(seen), err=True)
        click.confirm("Destroy what is kept? Nothing brings it back.", abort=True, err=True)
    done = run(lambda process: restores_of(process).confirm(seen, by=operator()))
    what = "the earlier state" if done.is_undone else "what it had before"
    show(done, [f"{done.slug}: {what} is destroyed; its id was {done.aside_id}."], as_json=as_json)


@restores.command()
@click.argument("tenant")
@as_json
def undo(tenant: str, as_json: bool) -> None:
    """Give a tenant back what it had, and keep the earlier state."""
    done = run(lambda process: restores_of(process).undo(tenant, by=operator()))
    show(done, [_exchanged(done)], as_json=as_json)


@restores.command()
@click.argument("tenant")
@as_json
def redo(tenant: str, as_json: bool) -> None:
    """Put a tenant back once more, after that was undone."""
    done = run(lambda process: restores_of(process).redo(tenant, by=operator()))
    show(done, [_exchanged(done)], as_json=as_json)


def _told(done: PutBack) -> list[str]:
    way = f"from revision {done.archive_revision} to {done.revision}"
    at = f"at revision {done.revision}" if done.archive_revision == done.revision else way
    kept = (
        f"What it had is kept under the id {done.aside_id}: `leasehold restores confirm {done.slug}` destroys it, "
        f"`leasehold restores undo {done.slug}` brings it back."
    )
    return [
        f"{done.slug} is as it was at {done.made_at:%Y-%m-%d %H:%M:%S} UTC, {at}: {done.rows} rows.",
        kept,
    ]


def _exchanged(done: Exchanged) -> str:
    if done.is_undone:
        return (
            f"{done.slug} has again what it had before; the state of {done.made_at:%Y-%m-%d %H:%M:%S} UTC is kept "
            f"until `leasehold restores confirm {done.slug}`."
        )
    return (
        f"{done.slug} is again as it was at {done.made_at:%Y-%m-%d %H:%M:%S} UTC; what it had is kept until "
        f"`leasehold restores confirm {done.slug}`."
    )


def _waiting(one: Waiting) -> str:
    earlier = f"the state of {one.made_at:%Y-%m-%d %H:%M:%S} UTC"
    served, kept = ("what it had before", earlier) if one.is_undone else (earlier, "what it had before")
    return f"{one.slug:<24} has {served}; {kept} is kept since {one.set_aside_at:%Y-%m-%d %H:%M} UTC, id {one.aside_id}"
