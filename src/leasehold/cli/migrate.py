"""`leasehold migrate`: the platform and the whole fleet of tenants, in every deploy."""

import asyncio
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

import click
from alembic import command
from alembic.config import Config
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich_click import RichGroup

from leasehold.cli.installation import installation, owner_url_of
from leasehold.config import Settings
from leasehold.core.models import TenantModel
from leasehold.tenancy.fleet.history import TenantHistory, open_scripts
from leasehold.tenancy.fleet.run import FleetRun, RunSummary, TenantResult, revision_counts


@click.group(cls=RichGroup)
def migrate() -> None:
    """Migrate the platform and every tenant."""


@migrate.command("all")
@click.option("--jobs", default=os.cpu_count() or 1, show_default="cores", type=click.IntRange(1, 64))
def migrate_all(jobs: int) -> None:
    """Bring the platform and then every tenant to head. Exit status 1 if a tenant failed."""
    with installation() as settings:
        summary = run_migrations(settings, jobs=jobs, console=Console())
    if summary.failed:
        sys.exit(1)


@migrate.command()
def status() -> None:
    """Say how many tenants stand at each revision."""
    with installation() as settings:
        history = TenantHistory.load(settings.migrations_dir)
        counts = asyncio.run(revision_counts(owner_url_of(settings)))
    for revision, tenants in counts.items():
        click.echo(f"{revision}{' (head)' if revision == history.head else ''}: {tenants}")
    if not counts:
        click.echo("There are no tenants.")


def run_migrations(settings: Settings, *, jobs: int, console: Console) -> RunSummary:
    """Migrate platform and fleet, and say on the console what happened; a bar on a terminal, lines elsewhere."""
    owner_url = owner_url_of(settings)
    history = TenantHistory.load(settings.migrations_dir)
    config = Config(attributes={"settings": settings})
    config.set_main_option("script_location", open_scripts(settings.migrations_dir, "platform").dir)
    command.upgrade(config, "head")
    fleet = FleetRun(
        owner_url=owner_url,
        history=history,
        metadata=TenantModel.metadata,
        jobs=jobs,
        tenant_roles=settings.tenant_roles,
    )
    with _reporter(console) as report:
        summary = asyncio.run(fleet.migrate_all(on_start=report.start, on_result=report.result))
    moved = len(summary.results) - len(summary.failed)
    console.print(
        f"platform at head; {moved} of {summary.tenants} tenants migrated to {summary.target}, "
        f"{len(summary.failed)} failed",
        highlight=False,
        soft_wrap=True,
    )
    for result in summary.failed:
        console.print(f"failed: {result.slug} stays at {result.start}: {result.error}", highlight=False, soft_wrap=True)
    return summary


class _Report:
    """Shows a run as it goes."""

    def __init__(self, console: Console, progress: Progress | None) -> None:
        self._console = console
        self._progress = progress
        self._task = progress.add_task("tenants", total=None) if progress else None

    def start(self, pending: int) -> None:
        """Say how many tenants the run has to migrate."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, total=pending)

    def result(self, result: TenantResult) -> None:
        """Say what became of one tenant."""
        if self._progress and self._task is not None:
            self._progress.advance(self._task)
        elif result.error is None:
            line = f"{result.slug}: {result.start} -> {result.target} in {result.duration_s * 1000:.0f} ms"
            self._console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def _reporter(console: Console) -> Generator[_Report]:
    if not console.is_terminal:
        yield _Report(console, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        yield _Report(console, progress)
