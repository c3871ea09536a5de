"""Builds a run over the fleet of an installation, and performs it before the eyes of a person."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from alembic import command
from alembic.config import Config
from rich.console import Console

from leasehold.cli.installation import owner_url_of
from leasehold.cli.operator import operator
from leasehold.cli.progress import reporting, summary_lines
from leasehold.config import Settings
from leasehold.core.models import TenantModel
from leasehold.tenancy.fleet.history import TenantHistory, open_scripts
from leasehold.tenancy.fleet.plan import RunOptions
from leasehold.tenancy.fleet.run import FleetRun, Platform, RunSummary


class Interrupted(RuntimeError):
    """The run was interrupted. What it has done stays; run it again for the rest."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def run_migrations(settings: Settings, *, console: Console, jobs: int) -> RunSummary:
    """Bring platform and fleet to head, and say on the console what happened."""
    return perform(fleet_run(settings, RunOptions(jobs=jobs)), console=console)


def fleet_run(settings: Settings, options: RunOptions, *, verify: str | None = None) -> FleetRun:
    """Return a run of this installation; `verify` is a shell command.

    Raises:
        NoOwnerUrl: the settings have none.
        BrokenHistory: one of the two histories cannot be read.
    """
    return FleetRun(
        owner_url=owner_url_of(settings),
        by=operator(),
        history=TenantHistory.load(settings.migrations_dir),
        metadata=TenantModel.metadata,
        tenant_roles=settings.tenant_roles,
        options=options,
        platform=_platform(settings),
        verify=partial(_verify, verify) if verify else None,
    )


def perform(run: FleetRun, *, console: Console) -> RunSummary:
    """Do what a run shall do, and say on the console how it goes and what it came to.

    Raises:
        Interrupted: the process was told to end.
    """
    with reporting(console) as report:
        summary = performed(replace(run, report=report).run())
    for line in summary_lines(summary):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return summary


def performed(work: Coroutine[Any, Any, RunSummary]) -> RunSummary:
    """Return what a run came to, once it has ended.

    Raises:
        Interrupted: the process was told to end.
    """
    try:
        return asyncio.run(_until_told_to_end(work))
    except asyncio.CancelledError as error:
        raise Interrupted from error


async def _until_told_to_end(work: Coroutine[Any, Any, RunSummary]) -> RunSummary:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def _platform(settings: Settings) -> Platform:
    scripts = open_scripts(settings.migrations_dir, "platform")
    return Platform(
        revisions=frozenset(revision.revision for revision in scripts.walk_revisions()),
        head=scripts.get_current_head() or "",
        upgrade=partial(upgrade_platform, settings, "head"),
    )


async def upgrade_platform(settings: Settings, revision: str, application_name: str | None = None) -> None:
    """Bring the shared schema to a revision, on a connection of this name."""
    config = Config(attributes={"settings": settings, "application_name": application_name})
    config.set_main_option("script_location", open_scripts(settings.migrations_dir, "platform").dir)
    await asyncio.to_thread(command.upgrade, config, revision)  # Alembic runs an event loop of its own


async def _verify(shell_command: str) -> str | None:
    """Return why the check is not content, None if it is. What it prints goes to standard error."""
    process = await asyncio.create_subprocess_shell(shell_command, stdout=sys.stderr)
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        raise
    return f"the check `{shell_command}` exited with status {status}" if status else None
