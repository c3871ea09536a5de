"""The examination: all checks, one after the other, on an installation that is used meanwhile.

A new theme is a module with a `CHECK`, named here.
"""

from collections.abc import Collection

import asyncpg
from msgspec import Struct

from leasehold.core.sqlstate import LOST_CONNECTION
from leasehold.tenancy.doctor import (
    backups,
    capacity,
    doors,
    listening,
    lives,
    pooler,
    queue,
    quota_store,
    revisions,
    roles,
    runs,
    secrets,
    server,
    shapes,
    tenant_roles,
    urls,
)
from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind, Severity
from leasehold.tenancy.doctor.site import APP_SETTING, Site

NOT_CHECKED = Kind(
    "check-failed",
    "problem",
    "The check {check} could not be made: {reason}.",
    "Mend first what else was found; if nothing was, it is a fault of Leasehold, or of what stands in between.",
)
CHECKS: tuple[Check, ...] = (
    urls.CHECK,
    listening.CHECK,
    pooler.CHECK,
    server.CHECK,
    capacity.CHECK,
    quota_store.CHECK,
    roles.CHECK,
    doors.CHECK,
    revisions.CHECK,
    secrets.CHECK,
    tenant_roles.CHECK,
    shapes.CHECK,
    runs.CHECK,
    queue.CHECK,
    lives.CHECK,
    backups.CHECK,
)
KINDS: tuple[Kind, ...] = (*(kind for check in CHECKS for kind in check.kinds), NOT_CHECKED)


_ORDER: tuple[Severity, ...] = ("problem", "warning", "hint")


class Report(Struct):
    """What an examination came to."""

    checked: list[str]
    """The checks that were made."""
    left_out: list[str]
    """The checks that could not be asked: without the database, when it answered no more, or before it was migrated."""
    problems: int
    warnings: int
    findings: list[Finding]
    """Problems first, then warnings, then hints."""


async def examine(site: Site, only: Collection[str] = ()) -> Report:
    """Make all checks, or those that are named, and change nothing."""
    wanted = [check for check in CHECKS if not only or check.name in only]
    checked: list[str] = []
    findings: list[Finding] = []
    for check in wanted:
        if _can_ask(site, check):
            checked.append(check.name)
            findings += await _ask(site, check)
    findings.sort(key=lambda finding: _ORDER.index(finding.severity))
    problems, warnings = (sum(finding.severity == severity for finding in findings) for severity in _ORDER[:2])
    left_out = [check.name for check in wanted if check.name not in checked]
    return Report(checked, left_out, problems, warnings, findings)


def _can_ask(site: Site, check: Check) -> bool:
    if APP_SETTING not in site.connections:
        return check is urls.CHECK
    if any(connection.is_closed() for connection in site.connections.values()):
        return False
    return site.is_migrated or not check.needs_platform


async def _ask(site: Site, check: Check) -> list[Finding]:
    try:
        return await check.find(site)
    except (*LOST_CONNECTION, asyncpg.PostgresError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        return [NOT_CHECKED.found(check=check.name, reason=reason.rstrip("."))]
