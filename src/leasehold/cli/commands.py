"""The root of the command, where every group hangs and every error becomes one sentence."""

import sys
from importlib.metadata import version

import click
from rich_click import RichGroup

from leasehold.cli.admins import admins
from leasehold.cli.audit import audit
from leasehold.cli.backup import backup
from leasehold.cli.clients import clients
from leasehold.cli.db import db
from leasehold.cli.doctor import doctor
from leasehold.cli.failures import sentence_of
from leasehold.cli.fleet import fleet
from leasehold.cli.jobs import jobs
from leasehold.cli.keys import keys
from leasehold.cli.migrate import migrate
from leasehold.cli.plans import plans
from leasehold.cli.reference import reference
from leasehold.cli.restores import restore, restores
from leasehold.cli.serve import serve
from leasehold.cli.tenants import tenants
from leasehold.cli.tokens import tokens
from leasehold.cli.up import up
from leasehold.cli.users import users
from leasehold.cli.worker import worker
from leasehold.core.log import configure_logging


@click.group(cls=RichGroup)
@click.version_option(version("leasehold"), prog_name="leasehold")
def leasehold() -> None:
    """A multi-tenant backend in which every tenant lives in a PostgreSQL schema of its own.

    Commands work on the installation that LEASEHOLD_DATABASE_URL names, else on the local one that `up` makes.
    """
    # What a command prints is its result, which a program may read; what happens on the way is said beside it.
    configure_logging(level="warning", form="console", stream=sys.stderr, is_final=False)


for command in (
    up,
    serve,
    worker,
    db,
    doctor,
    migrate,
    fleet,
    jobs,
    tenants,
    backup,
    plans,
    users,
    clients,
    admins,
    tokens,
    restore,
    restores,
    audit,
    keys,
    reference,
):
    leasehold.add_command(command)


def main() -> None:
    """Run the command of this process; whatever goes wrong ends it with one sentence and status 2."""
    try:
        leasehold()
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        click.echo(f"leasehold: {sentence}", err=True)
        sys.exit(2)
