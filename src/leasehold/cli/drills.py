"""`leasehold backup drill`: whether backups can be restored, found out by restoring them where nobody sees it."""

import sys
import time
from functools import partial
from uuid import UUID

import click

from leasehold.cli.archive_progress import showing
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show
from leasehold.core.database import platform_session
from leasehold.platform.backups.opening import backup_passphrase, open_store
from leasehold.platform.features import WRAPPED_OF_PLATFORM
from leasehold.platform.restores.drills import DrillService
from leasehold.platform.restores.schemas import Drill, Drilled
from leasehold.process import Process
from leasehold.tenancy.archive.platform_rehearsing import PlatformRehearsal
from leasehold.tenancy.archive.rehearsing import Rehearsal

_FAILED = 1


@click.command()
@click.argument("tenants", nargs=-1)
@click.option("--sample", type=click.IntRange(1), help="So many tenants, chosen by chance.")
@as_json
def drill(tenants: tuple[str, ...], sample: int | None, as_json: bool) -> None:
    """Restore the newest backups into scratch and verify them; nothing of it stays, and nobody who is served waits.

    Of the platform and all tenants, unless TENANTS are named by their slugs. Ends with status 1 if one could not be
    restored.
    """
    if tenants and sample:
        raise click.UsageError("Name tenants, or say --sample, not both.")

    async def work(process: Process) -> Drill:
        service = DrillService(
            partial(platform_session, process.database),
            open_store(process.settings),
            Rehearsal(process.importer),
            PlatformRehearsal(process.importer.owner_url, process.key, WRAPPED_OF_PLATFORM),
            passphrase=backup_passphrase(process.settings),
        )
        began = time.monotonic()
        found: list[Drilled] = []
        wanted: dict[UUID | None, str] = {} if tenants else {None: "platform"}
        wanted |= await service.tenants(tenants, sample=sample)
        for tenant_id, slug in wanted.items():
            with showing() as progress:
                found.append(await service.drill(tenant_id, slug, progress))
            if not as_json:
                click.echo(_line(found[-1]))
        failed = sum(not one.is_good for one in found)
        return Drill(len(found) - failed, failed, round(time.monotonic() - began, 3), tuple(found))

    done = run(work)
    last = f"{done.passed} of {done.passed + done.failed} backups can be restored, in {done.seconds:.1f} s."
    show(done, [last], as_json=as_json)
    if done.failed:
        sys.exit(_FAILED)


def _line(one: Drilled) -> str:
    at = f"of {one.at:%Y-%m-%d %H:%M:%S} UTC" if one.at else "none"
    if one.is_good:
        how = "" if one.is_loaded else "; only read, for the platform was migrated since"
        return f"{one.what:<24} ok      {at}: {one.rows} rows, {one.bytes} bytes, in {one.seconds:.1f} s{how}"
    return f"{one.what:<24} failed  {at}: {one.reason}"
