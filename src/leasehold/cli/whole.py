"""`leasehold restore --everything`: an empty installation becomes the one of which the backups are."""

import asyncio
import sys
from datetime import datetime
from functools import partial

import click

from leasehold.cli.archive_progress import showing
from leasehold.cli.fleet_run import fleet_run
from leasehold.cli.installation import installation, owner_url_of
from leasehold.cli.operator import operator
from leasehold.cli.progress import summary_lines
from leasehold.cli.session import run_with, show
from leasehold.cli.taking_over import platform_importer
from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.platform.backups.opening import backup_passphrase, open_store
from leasehold.platform.backups.store import BackupStore
from leasehold.platform.restores.refusals import NoPlatformBackup
from leasehold.platform.restores.schemas import CameBack, Whole
from leasehold.platform.restores.whole import WholeService
from leasehold.process import Process
from leasehold.tenancy.archive.reading import PlatformArchiveFile
from leasehold.tenancy.archive.taking_over import has_tenants
from leasehold.tenancy.fleet.plan import RunOptions

_FAILED = 1


def restore_everything(*, at: datetime | None, passphrase: str | None, as_json: bool) -> None:
    """Bring back platform and tenants, as far as they are not there; ends with status 1 if a tenant did not come."""
    with installation() as settings:
        done = asyncio.run(_restore(settings, at=at, secret=passphrase or backup_passphrase(settings)))
    lines = [f"{one.slug}: {one.reason}" for one in done.tenants if one.reason]
    lines.append(f"{done.came_back} tenants came back, {done.failed} did not.")
    show(done, lines, as_json=as_json)
    if done.failed:
        sys.exit(_FAILED)


async def _restore(settings: Settings, *, at: datetime | None, secret: str) -> Whole:
    store, is_new = open_store(settings), not await has_tenants(owner_url_of(settings))
    if is_new:
        await _take_over(settings, store, at=at, secret=secret)
    # Who has no schema yet is made at head, and is none of this run's.
    summary = await fleet_run(settings, RunOptions()).run()
    if summary.outcome != "succeeded":
        click.echo("\n".join(summary_lines(summary)), err=True)
    tenants = await run_with(settings, partial(_bring_back, store=store, at=at, secret=secret))
    failed = sum(one.reason is not None for one in tenants)
    return Whole(is_new, len(tenants) - failed, failed, tuple(tenants))


async def _take_over(settings: Settings, store: BackupStore, *, at: datetime | None, secret: str) -> None:
    backup = await store.newest(None, at=at)
    if backup is None:
        raise NoPlatformBackup
    click.echo(f"The platform, of {backup.at:%Y-%m-%d %H:%M:%S} UTC", err=True)
    async with store.opened(backup) as archive:
        if not isinstance(archive, PlatformArchiveFile):
            raise NoPlatformBackup
        key = await asyncio.to_thread(archive.key, secret)
        with showing() as progress:
            await platform_importer(settings).load(archive, key, by=operator(), progress=progress)


async def _bring_back(process: Process, *, store: BackupStore, at: datetime | None, secret: str) -> list[CameBack]:
    service = WholeService(partial(platform_session, process.database), store, process.importer, passphrase=secret)
    found: list[CameBack] = []
    for tenant_id, slug in (await service.homeless()).items():
        click.echo(slug, err=True)
        with showing() as progress:
            found.append(await service.bring_back(tenant_id, slug, at=at, by=operator(), progress=progress))
    return found
