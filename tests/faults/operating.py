"""`python -m tests.faults.operating`: runs operations on an installation, each in a process of its own.

It reads a JSON list of arguments per line, forks, and tells the child's process id and then its status. What the child
is asked for is a command of `leasehold`, to which those below are added. Forked, for the start of Python
takes ten times as long as the operation.
"""

import gc
import json
import os
import sys
from functools import partial
from pathlib import Path

import click

from leasehold.cli.commands import leasehold, main
from leasehold.cli.session import find_tenant, run
from leasehold.core.database import platform_session
from leasehold.platform.lifecycle.jobs import fill_vacancies
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.jobs.definition import NoArguments
from leasehold.workspace.deletion.service import DeletionService
from leasehold.workspace.settings.schemas import SettingsPatch
from leasehold.workspace.settings.service import SettingsService
from tests.factories import OPERATOR

WANTED = 2
"""How many vacancies there shall be."""


@leasehold.command("fill")
def fill() -> None:
    """Make the vacancies that are missing, as the worker does."""

    async def work(process: Process) -> None:
        open_session = partial(platform_session, process.database)
        await fill_vacancies.function(
            NoArguments(), open_session=open_session, provisioner=process.provisioner, vacancies=WANTED
        )

    run(work)


@leasehold.command("close-registration")
@click.argument("slug")
def close_registration(slug: str) -> None:
    """Change two settings of a tenant."""

    async def work(process: Process) -> None:
        async with open_tenant_session(process.database, await find_tenant(process, slug)) as session:
            await SettingsService(session).change(SettingsPatch("closed", require_if_match=True), by=OPERATOR)

    run(work)


@leasehold.command("request-deletion")
@click.argument("slug")
def request_deletion(slug: str) -> None:
    """Ask for a tenant's deletion in its own name."""

    async def work(process: Process) -> None:
        async with open_tenant_session(process.database, await find_tenant(process, slug)) as session:
            await DeletionService(session).request(by=OPERATOR)

    run(work)


def _be_child(output: Path, arguments: list[str]) -> None:
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(output.parent)
    sys.argv = ["leasehold", *arguments]
    main()


def _fork(output: Path, arguments: list[str]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        _be_child(output, arguments)
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    gc.freeze()  # so that children do not copy what they only look at
    for line in sys.stdin:
        child = _fork(Path(sys.argv[1]), json.loads(line))
        _say(child)
        _, status = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(status))
