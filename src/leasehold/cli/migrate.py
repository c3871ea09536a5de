"""`leasehold migrate`: the platform and the whole fleet of tenants, in every deploy."""

import asyncio
import sys
from collections.abc import Callable
from functools import reduce
from typing import Any, Literal

import click
from rich.console import Console
from rich_click import RichGroup

from leasehold.cli.fleet_run import fleet_run, perform
from leasehold.cli.fleet_state import check, drift, history, status
from leasehold.cli.installation import installation
from leasehold.cli.options import as_json, exclude, jobs, max_failures, only, slugs_in
from leasehold.cli.preview import plan_document, plan_lines, sql
from leasehold.cli.session import show
from leasehold.tenancy.fleet.limits import Limits
from leasehold.tenancy.fleet.plan import RunOptions

_DEFAULT = RunOptions()
_LIMITS = _DEFAULT.limits
_SECONDS = click.FloatRange(min=0.001)
_OPTIONS = (
    only,
    exclude,
    click.option("--canary", default="", help="Slugs, with commas: first these, with those that are flagged so."),
    click.option(
        "--verify",
        help="A shell command to run after the canaries, before all others; unless it exits 0, the run stops.",
    ),
    click.option("--wave", default=_DEFAULT.wave, show_default=True, type=click.IntRange(1), help="Tenants in a wave."),
    jobs,
    max_failures,
    click.option("--retry-failed", is_flag=True, help="Only tenants whose last attempt failed."),
    click.option("--allow-destructive", is_flag=True, help="Let revisions drop tables and columns, and delete rows."),
    click.option(
        "--lock-timeout",
        default=_LIMITS.lock_timeout_s,
        show_default=True,
        type=_SECONDS,
        help="Seconds that a statement waits for a lock, and makes others wait behind it.",
    ),
    click.option(
        "--statement-timeout",
        default=_LIMITS.statement_timeout_s,
        show_default=True,
        type=_SECONDS,
        help="Seconds that a statement may take.",
    ),
    click.option(
        "--index-timeout",
        default=_LIMITS.index_timeout_s,
        show_default=True,
        type=_SECONDS,
        help="Seconds for what runs outside a transaction and waits for all tenants, as CREATE INDEX CONCURRENTLY.",
    ),
    click.option(
        "--attempts",
        default=_LIMITS.attempts,
        show_default=True,
        type=click.IntRange(1),
        help="How often a tenant is tried whose locks others hold.",
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be run on which tenants, and touch nothing."),
    as_json,
)


@click.group(cls=RichGroup)
def migrate() -> None:
    """Migrate the platform and every tenant."""


def _with_options(function: Callable[..., None]) -> Callable[..., None]:
    return reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), function)


@migrate.command("all")
@click.option("--to", "target", default="head", show_default=True, help="A revision.")
@_with_options
def migrate_all(**given: Any) -> None:
    """Bring the platform and then every tenant to head. Exit status 1 if a tenant failed or the run was stopped."""
    _run("upgrade", **given)


@migrate.command("downgrade", context_settings={"ignore_unknown_options": True})  # a revision like -1 is no option
@click.argument("target", metavar="REVISION")
@_with_options
def downgrade(**given: Any) -> None:
    """Take tenants back to a revision, or by a number of them: `leasehold migrate downgrade -1 --only acme`."""
    _run("downgrade", **given)


for _command in (status, check, history, drift, sql):
    migrate.add_command(_command)


def _run(
    direction: Literal["upgrade", "downgrade"],
    *,
    only: str,
    exclude: str,
    canary: str,
    verify: str | None,
    lock_timeout: float,
    statement_timeout: float,
    index_timeout: float,
    attempts: int,
    dry_run: bool,
    as_json: bool,
    **others: Any,
) -> None:
    options = RunOptions(
        direction=direction,
        only=slugs_in(only),
        exclude=slugs_in(exclude),
        canaries=slugs_in(canary),
        limits=Limits(lock_timeout, statement_timeout, index_timeout, attempts),
        **others,
    )
    console = Console(stderr=as_json)
    with installation() as settings:
        run = fleet_run(settings, options, verify=verify)
        if dry_run:
            plan = asyncio.run(run.plan())
            show(plan_document(plan), plan_lines(plan), as_json=as_json)
            return
        summary = perform(run, console=console)
    if as_json:
        show(summary, [], as_json=True)
    if summary.outcome != "succeeded":
        sys.exit(1)
