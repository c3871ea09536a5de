"""`leasehold tenants export` and `import`: a tenant leaves in one file, and comes back from it."""

from functools import partial
from pathlib import Path

import click

from leasehold.cli.archive_progress import showing
from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.passphrase import passphrase_file, passphrase_from
from leasehold.cli.session import run, show
from leasehold.core.database import platform_session
from leasehold.platform.archives.schemas import Exported
from leasehold.platform.archives.service import ArchiveService
from leasehold.process import Process
from leasehold.tenancy.archive.importing import Destination, Imported


def archives_of(process: Process) -> ArchiveService:
    """Return the service of archives."""
    return ArchiveService(partial(platform_session, process.database), process.exporter, process.importer)


@click.command("export")
@click.argument("slug")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file, not there yet.")
@passphrase_file
@as_json
def export_tenant(slug: str, output: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Write all that a tenant has to a file, as it is at one moment; the tenant goes on meanwhile."""
    passphrase = passphrase_from(passphrase_file, is_new=True)

    async def work(process: Process) -> Exported:
        with showing() as progress:
            return await archives_of(process).export(
                slug, output, passphrase=passphrase, by=operator(), progress=progress
            )

    done = run(work)
    line = (
        f"{done.slug} is in {done.file}: {done.rows} rows of {done.tables} tables at revision {done.revision}, "
        f"{done.bytes} bytes, compressed {done.file_bytes}."
    )
    show(done, [line], as_json=as_json)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--slug", help="Another slug than that of the archive.")
@click.option("--name", help="Another name.")
@click.option("--plan", help="Another plan, where there is none of that name here.")
@click.option("--new-id", is_flag=True, help="Take another id even if its own is free; credentials are issued anew.")
@click.option("--without-domains", is_flag=True, help="Leave its custom domains to who has them now.")
@passphrase_file
@as_json
def import_tenant(
    *,
    file: Path,
    slug: str | None,
    name: str | None,
    plan: str | None,
    new_id: bool,
    without_domains: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make the tenant of an archive, proven equal to what was exported and brought to head; all of it or nothing."""
    to = Destination(slug, name, plan, with_domains=not without_domains, with_new_id=new_id)
    passphrase = passphrase_from(passphrase_file, is_new=False)

    async def work(process: Process) -> Imported:
        with showing() as progress:
            return await archives_of(process).load(file, passphrase=passphrase, to=to, by=operator(), progress=progress)

    done = run(work)
    show(done, told_of_import(done), as_json=as_json)


def told_of_import(done: Imported) -> list[str]:
    """Return the lines about a tenant that came out of an archive."""
    way = f"from revision {done.archive_revision} to {done.revision}"
    at = f"at revision {done.revision}" if done.archive_revision == done.revision else way
    lines = [f"{done.slug} is {done.state}, id {done.id}, {at}: {done.rows} rows, all as they were exported."]
    if not done.has_kept_id:
        lines.append("Its former id is not free here, so what names it was ended and is to be issued anew:")
        lines += [_reissue_line(kind.what, kind.count, kind.labels) for kind in done.reissue] or ["  nothing"]
    elif not done.is_from_here:
        lines.append("It comes from another installation: its credentials go on, but access tokens are to be got anew.")
    return lines


def _reissue_line(what: str, count: int, labels: tuple[str, ...]) -> str:
    named = ", ".join(labels)
    more = f" and {count - len(labels)} more" if labels and count > len(labels) else ""
    return f"  {count} {what}" + (f": {named}{more}" if named else "")


ARCHIVES = (export_tenant, import_tenant)
"""The commands."""
