"""Options that several commands over the fleet share."""

import os

import click

from leasehold.tenancy.fleet.plan import RunOptions

_DEFAULT = RunOptions()

only = click.option("--only", default="", help="Slugs, with commas: no other tenants.")
exclude = click.option("--exclude", default="", help="Slugs, with commas: not these tenants.")
jobs = click.option(
    "--jobs", default=os.cpu_count() or 1, show_default="cores", type=click.IntRange(1, 64), help="Tenants at once."
)
max_failures = click.option(
    "--max-failures",
    default=_DEFAULT.max_failures,
    show_default=True,
    type=click.IntRange(1),
    help="Stop when so many tenants have failed.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def slugs_in(text: str) -> tuple[str, ...]:
    """Return the slugs that an option names, divided by commas."""
    return tuple(slug.strip() for slug in text.split(",") if slug.strip())
