"""`leasehold tenants top`: who uses most."""

import re
from datetime import timedelta
from typing import Any, get_args

import click
from rich_click import RichCommand

from leasehold.cli.options import as_json
from leasehold.cli.session import run, show
from leasehold.core.clock import utc_now
from leasehold.core.database import platform_session
from leasehold.core.pagination import MAX_LIMIT
from leasehold.platform.usage.schemas import TopBy, TopTenant
from leasehold.platform.usage.service import UsageService
from leasehold.process import Process

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_MOST_DAYS = 400
_HEADINGS = ("tenant", "requests", "refused", "errors", "database s", "traffic", "rows", "bytes")
_STEP = 1024


class Duration(click.ParamType[timedelta]):
    """A number of minutes, hours or days."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration that a text names."""
        found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", str(value))
        if found is None:
            self.fail("a duration looks like 90m, 24h or 7d", param, ctx)
        duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
        if duration > timedelta(days=_MOST_DAYS):
            self.fail(f"usage is kept for {_MOST_DAYS} days", param, ctx)
        return duration


@click.command(cls=RichCommand)
@click.option(
    "--by",
    type=click.Choice(get_args(TopBy)),
    default="requests",
    show_default=True,
    help="What is compared; bytes are those at rest.",
)
@click.option("--since", type=Duration(), default="24h", show_default=True, help="How long back: 90m, 24h, 7d.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, MAX_LIMIT), help="How many tenants.")
@as_json
def top(by: TopBy, since: timedelta, limit: int, as_json: bool) -> None:
    """List the tenants that use most, counted in whole hours."""

    async def work(process: Process) -> list[TopTenant]:
        async with platform_session(process.database) as session:
            return await UsageService(session).top(by, since=utc_now() - since, limit=limit)

    found = run(work)
    show(found, _table(found) if found else ["No tenant has used any of it."], as_json=as_json)


def _table(tenants: list[TopTenant]) -> list[str]:
    """Return lines with columns, names to the left and numbers to the right."""
    rows = [_HEADINGS, *map(_cells, tenants)]
    name, *numbers = (max(map(len, column)) for column in zip(*rows, strict=True))
    return ["  ".join([row[0].ljust(name), *map(str.rjust, row[1:], numbers)]) for row in rows]


def _cells(tenant: TopTenant) -> tuple[str, ...]:
    return (
        tenant.slug,
        f"{tenant.requests:,}",
        f"{tenant.refused:,}",
        f"{tenant.errors:,}",
        f"{tenant.database_seconds:,.2f}",
        _size(tenant.received_bytes + tenant.sent_bytes),
        "-" if tenant.rows is None else f"{tenant.rows:,}",
        "-" if tenant.bytes is None else _size(tenant.bytes),
    )


def _size(count: int) -> str:
    """Return a number of bytes in the largest unit of which there is one."""
    size, units = float(count), iter(("B", "KiB", "MiB", "GiB"))
    unit = next(units)
    while size >= _STEP and (larger := next(units, None)):
        size, unit = size / _STEP, larger
    return f"{count} B" if unit == "B" else f"{size:,.1f} {unit}"
