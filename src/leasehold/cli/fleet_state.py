"""`leasehold migrate status | check | history | drift`: what can be known of the fleet."""

import asyncio
import sys

import click

from leasehold.cli.installation import installation, owner_url_of
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show
from leasehold.core.database import platform_session
from leasehold.core.models import TenantModel
from leasehold.core.pagination import MAX_LIMIT, Pager
from leasehold.platform.fleet.schemas import FleetStatus, Run
from leasehold.platform.fleet.service import FleetService
from leasehold.process import Process
from leasehold.tenancy.fleet.drift import Drift, find_drift
from leasehold.tenancy.fleet.history import TenantHistory


@click.command()
@as_json
def status(as_json: bool) -> None:
    """Say how many tenants stand at each revision, which are behind, and which failed."""
    found = run(_status)
    show(found, _status_lines(found), as_json=as_json)


@click.command()
@as_json
def check(as_json: bool) -> None:
    """End with status 0 only if every tenant stands at head."""
    found = run(_status)
    show(found, [f"{found.at_head} of {found.tenants} tenants stand at {found.head}"], as_json=as_json)
    if found.at_head != found.tenants:
        sys.exit(1)


@click.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, MAX_LIMIT), help="How many runs.")
@as_json
def history(limit: int, as_json: bool) -> None:
    """List the latest runs, the last one first."""

    async def work(process: Process) -> list[Run]:
        async with platform_session(process.database) as session:
            pager = Pager(process.cursors, limit)
            return (await FleetService(session, head=process.window.head).runs(pager)).items

    runs = run(work)
    show(runs, [_run_line(each) for each in runs] or ["There were no runs."], as_json=as_json)


@click.command()
@click.argument("slugs", nargs=-1)
@click.option("--all", "all_tenants", is_flag=True, help="Every tenant.")
@as_json
def drift(slugs: tuple[str, ...], all_tenants: bool, as_json: bool) -> None:
    """Compare schemas with what the migrations make of them. Exit status 1 if one differs."""
    if bool(slugs) == all_tenants:
        raise click.UsageError("Name tenants, or say --all.")
    with installation() as settings:
        tenant_history = TenantHistory.load(settings.migrations_dir)
        found = asyncio.run(
            find_drift(
                owner_url_of(settings),
                tenant_history,
                TenantModel.metadata,
                slugs,
                tenant_roles=settings.tenant_roles,
            )
        )
    show(found.differences, _drift_lines(found), as_json=as_json)
    if found.differences:
        sys.exit(1)


async def _status(process: Process) -> FleetStatus:
    async with platform_session(process.database) as session:
        return await FleetService(session, head=process.window.head).status()


def _status_lines(found: FleetStatus) -> list[str]:
    lines = [
        f"{count.revision}{' (head)' if count.revision == found.head else ''}: {count.tenants}"
        for count in found.revisions
    ]
    for tenant in found.stragglers:
        reason = f"failed: {tenant.error}" if tenant.error else "not migrated yet"
        lines.append(f"{tenant.slug} stands at {tenant.revision}, {reason}")
    behind = found.tenants - found.at_head
    if behind > len(found.stragglers):
        lines.append(f"and {behind - len(found.stragglers)} more are behind")
    if found.running:
        lines.append(f"running: {_run_line(found.running)}")
    return lines or ["There are no tenants."]


def _run_line(found: Run) -> str:
    counts = f"{found.succeeded} of {found.planned} done, {found.failed} failed"
    reason = f" ({found.reason})" if found.reason else ""
    place = f"on {found.host}, process {found.pid}"
    return (
        f"{found.started_at:%Y-%m-%d %H:%M:%S} {found.kind} {found.target}: {found.outcome}{reason}, {counts}, {place}"
    )


def _drift_lines(found: Drift) -> list[str]:
    lines = [f"{found.tenants} schemas compared, {len(found.differences)} differ"]
    for difference in found.differences:
        tenant = f"{difference.slug} (at {difference.revision})"
        lines += [f"{tenant} lacks {line}" for line in difference.missing]
        lines += [f"{tenant} has, and not from the migrations, {line}" for line in difference.added]
    return lines
