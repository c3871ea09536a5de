"""`leasehold keys`: the installation key."""

import click
from rich_click import RichGroup

from leasehold.core.vault import InstallationKey


@click.group(cls=RichGroup)
def keys() -> None:
    """Make the keys of an installation."""


@keys.command()
def generate() -> None:
    """Print a new installation key for LEASEHOLD_INSTALLATION_KEY."""
    click.echo(InstallationKey.generate())
