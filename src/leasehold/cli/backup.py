"""`leasehold backup`: archives of the platform and of tenants in a store of their own, and what is kept of them."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from uuid import UUID

import click
from rich_click import RichGroup

from leasehold.cli.backup_progress import showing
from leasehold.cli.drills import drill
from leasehold.cli.fleet_run import Interrupted
from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show, tenant_service
from leasehold.config import keep_of
from leasehold.core.database import platform_session
from leasehold.platform.backups.opening import backup_passphrase, open_store
from leasehold.platform.backups.schemas import Backup, Pruned, RunRecord
from leasehold.platform.backups.service import BackupService, Keeping
from leasehold.process import Process


class _BackupGroup(RichGroup):
    """A group whose command `run` is meant where none of its commands is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_BackupGroup)
def backup() -> None:
    """Make backups, list them, and delete old ones.

    `leasehold backup` alone backs up the platform and all tenants; with slugs, those tenants alone.
    """


def backups_of(process: Process) -> BackupService:
    """Return the service of backups.

    Raises:
        BackupRefused: the settings name no store, or it cannot be opened.
    """
    settings = process.settings
    return BackupService(
        partial(platform_session, process.database),
        open_store(settings),
        process.exporter,
        process.platform_exporter,
        Keeping(keep_of(settings.backup_keep), timedelta(days=settings.backup_purged_days)),
    )


backup.add_command(drill)


@backup.command("run")
@click.argument("tenants", nargs=-1)
@click.option(
    "--jobs", default=os.cpu_count() or 1, show_default="cores", type=click.IntRange(1, 64), help="Backups at once."
)
@as_json
def run_backup(tenants: tuple[str, ...], jobs: int, as_json: bool) -> None:
    """Back up the platform and all tenants, or those with these slugs; go on with a run that was cut off."""

    async def work(process: Process) -> RunRecord:
        service, passphrase = backups_of(process), backup_passphrase(process.settings)
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with showing() as progress:
            return await service.run(passphrase, slugs=tenants, jobs=jobs, by=operator(), progress=progress)

    try:
        done = run(work)
    except asyncio.CancelledError as error:
        raise Interrupted from error
    show(done, _told(done), as_json=as_json)
    if not done.has_succeeded:
        sys.exit(1)


def _told(done: RunRecord) -> list[str]:
    line = (
        f"{done.made} made ({done.bytes} bytes), {done.unchanged} unchanged, {done.resumed} there already, "
        f"{len(done.failed)} failed, {done.skipped} not tried; {done.deleted} old ones deleted."
    )
    kept = [f"  old ones: {done.undeleted}"] if done.undeleted else []
    return [line, *(f"  {result.name}: {result.reason}" for result in done.failed), *kept]


@backup.command("list")
@click.argument("tenant", required=False)
@click.option("--platform", is_flag=True, help="Those of the platform.")
@as_json
def list_backups(tenant: str | None, platform: bool, as_json: bool) -> None:
    """List the backups of a tenant, named by its slug or its id, or the newest one of each."""

    slugs: dict[UUID, str] = {}

    async def work(process: Process) -> list[Backup]:
        service = backups_of(process)
        store = service.store
        slugs.update(await service.slugs())
        if platform:
            return await store.backups(None)
        if tenant is not None:
            return await store.backups(await tenant_id_of(process, tenant))
        newest = [await store.newest(None), *[await store.newest(tenant_id) for tenant_id in await store.tenants()]]
        return [one for one in newest if one is not None]

    found = run(work)
    show(found, [_line(one, slugs) for one in found] or ["There are no backups."], as_json=as_json)


async def tenant_id_of(process: Process, tenant: str) -> UUID:
    """Return the id of a tenant that is named by its slug, or by the id itself, which may be of one that is gone.

    Raises:
        UnknownSlug: there is no such tenant.
    """
    try:
        return UUID(tenant)
    except ValueError:
        async with tenant_service(process) as service:
            return (await service.find_by_slug(tenant)).id


def _line(one: Backup, slugs: Mapping[UUID, str]) -> str:
    whose = slugs.get(one.tenant_id, str(one.tenant_id)) if one.tenant_id else "platform"
    how = f"{one.bytes} bytes" if one.bytes else "its archive is missing"
    return f"{one.at.isoformat(timespec='microseconds')}  {whose}  {how}{' (unchanged)' if one.is_marker else ''}"


@backup.command("prune")
@click.option("--purged", is_flag=True, help="Delete all backups of purged tenants now, and not after their time.")
@click.option("--dry-run", is_flag=True, help="Delete nothing, but say what would be.")
@as_json
def prune(*, purged: bool, dry_run: bool, as_json: bool) -> None:
    """Delete backups that LEASEHOLD_BACKUP_KEEP does not keep any longer."""

    async def work(process: Process) -> Pruned:
        return await backups_of(process).prune(all_of_purged=purged, dry_run=dry_run, by=operator())

    done = run(work)
    lines = [f"{done.kept} kept, {len(done.deleted)} {'would be deleted' if dry_run else 'deleted'}."]
    if dry_run:
        lines += [f"  {path}" for path in done.deleted]
    if done.unknown:
        lines.append(f"{done.unknown} ids in the store are of no tenant of this installation; they are left alone.")
    show(done, lines, as_json=as_json)
