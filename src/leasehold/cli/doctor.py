"""`leasehold doctor`: examines a live installation and says how to mend what it finds."""

import asyncio
import sys

import click
from rich_click import RichCommand

from leasehold.cli.installation import installation
from leasehold.cli.options import as_json
from leasehold.cli.session import show
from leasehold.config import Settings
from leasehold.core.models import PlatformModel
from leasehold.main import installation_key
from leasehold.platform.backups.looking import look_at_backups
from leasehold.platform.features import WRAPPED_OF_PLATFORM
from leasehold.tenancy.doctor.examination import CHECKS, Report, examine
from leasehold.tenancy.doctor.finding import Finding
from leasehold.tenancy.doctor.site import Code, open_site
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.readiness import outdated_revisions, platform_head

_COLOURS = {"problem": "red", "warning": "yellow", "hint": "blue"}


@click.command(cls=RichCommand)
@click.argument("checks", nargs=-1, metavar="[CHECK]...", type=click.Choice([check.name for check in CHECKS]))
@click.option("--deep", is_flag=True, help="Look into the schemas of all tenants, not of a few.")
@click.option("--strict", is_flag=True, help="Exit status 1 for warnings too.")
@as_json
def doctor(checks: tuple[str, ...], *, deep: bool, strict: bool, as_json: bool) -> None:
    """Examine this installation, or only by some CHECKs, and say how to mend what is found. Nothing is changed.

    Exit status 0 without problems, 1 with one, 2 if the settings cannot be used.
    """
    with installation() as settings:
        report = asyncio.run(_examine(settings, checks, is_deep=deep))
    show(report, _lines(report), as_json=as_json)
    if report.problems or (strict and report.warnings):
        sys.exit(1)


async def _examine(settings: Settings, checks: tuple[str, ...], *, is_deep: bool) -> Report:
    async with open_site(settings, code_of(settings), installation_key(settings), is_deep=is_deep) as site:
        return await examine(site, checks)


def code_of(settings: Settings) -> Code:
    """Return what this release expects of an installation.

    Raises:
        BrokenHistory: the tenant history cannot be read.
    """
    return Code(
        history=TenantHistory.load(settings.migrations_dir),
        outdated_revisions=outdated_revisions(settings.migrations_dir),
        platform_head=platform_head(settings.migrations_dir),
        platform_metadata=PlatformModel.metadata,
        platform_secrets=WRAPPED_OF_PLATFORM,
        look_at_backups=look_at_backups,
    )


def _lines(report: Report) -> list[str]:
    lines = [line for finding in report.findings for line in _finding_lines(finding)]
    if report.left_out:
        lines.append(f"not checked: {', '.join(report.left_out)}")
    return [*lines, f"{len(report.checked)} checks, {report.problems} problems, {report.warnings} warnings"]


def _finding_lines(finding: Finding) -> list[str]:
    severity = click.style(finding.severity, fg=_COLOURS[finding.severity])
    return [f"{severity} {finding.code}: {finding.says}", f"  mend: {finding.mend}"]
