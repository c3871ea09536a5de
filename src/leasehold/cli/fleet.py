"""`leasehold fleet`: what is done once for every tenant and is no migration."""

import importlib
import inspect
import sys
from pathlib import Path

import click
from rich.console import Console
from rich_click import RichGroup

from leasehold.cli.fleet_run import performed
from leasehold.cli.installation import installation, owner_url_of
from leasehold.cli.operator import operator
from leasehold.cli.options import as_json, exclude, jobs, max_failures, only, slugs_in
from leasehold.cli.progress import reporting, summary_lines
from leasehold.cli.session import run_with, show
from leasehold.process import Process
from leasehold.tenancy.fleet.calls import FleetCall, TenantCall
from leasehold.tenancy.fleet.run import RunSummary


class UnknownFunction(ValueError):
    """The function {name} cannot be called for tenants: {reason}."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(name=name, reason=reason))


@click.group(cls=RichGroup)
def fleet() -> None:
    """Do something once for every tenant."""


@fleet.command("run")
@click.argument("name", metavar="MODULE:FUNCTION")
@only
@exclude
@jobs
@max_failures
@click.option("--anew", is_flag=True, help="Also for tenants for whom an unfinished run has called it already.")
@as_json
def run_function(
    name: str, *, only: str, exclude: str, jobs: int, max_failures: int, anew: bool, as_json: bool
) -> None:
    """Call `async def FUNCTION(session, tenant)` for every tenant, each time in a session bound to it.

    What a call did is committed together with the note that it was made: run it again to do what is left.
    """
    function = load_function(name)
    console = Console(stderr=as_json)
    with installation() as settings, reporting(console) as report:
        # A third of a pool is for sessions that write.
        made = settings.model_copy(update={"pool_size": 3 * jobs})

        async def work(process: Process) -> RunSummary:
            call = FleetCall(
                owner_url=owner_url_of(made),
                by=operator(),
                database=process.database,
                window=process.window,
                name=name,
                function=function,
                only=slugs_in(only),
                exclude=slugs_in(exclude),
                jobs=jobs,
                max_failures=max_failures,
                anew=anew,
                report=report,
            )
            return await call.run()

        summary = performed(run_with(made, work))
    for line in summary_lines(summary):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if as_json:
        show(summary, [], as_json=True)
    if summary.outcome != "succeeded":
        sys.exit(1)


def load_function(name: str) -> TenantCall:
    """Return the function that `module:function` names; modules in the working directory are found too.

    Raises:
        UnknownFunction: there is none, or it is not a coroutine function.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise UnknownFunction(name, "say MODULE:FUNCTION")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(module_name), attribute, None)
    except ImportError as error:
        raise UnknownFunction(name, str(error)) from error
    if function is None:
        raise UnknownFunction(name, f"the module has no {attribute}")
    if not inspect.iscoroutinefunction(function):
        raise UnknownFunction(name, "it must be `async def`, and take a session and a tenant")
    return function
