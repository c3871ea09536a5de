"""`leasehold plans`: what tenants can buy."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import click
from rich_click import RichGroup

from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show
from leasehold.cli.terms import converted_terms, feature_option, limit_option, rate_option, said_terms, terms_of
from leasehold.core.database import platform_session
from leasehold.core.pagination import MAX_LIMIT, Pager
from leasehold.platform.plans.schemas import Plan, PlanCreate, TermsPatch
from leasehold.platform.plans.service import PlanService
from leasehold.process import Process

name_argument = click.argument("name")


@click.group(cls=RichGroup)
def plans() -> None:
    """Make and change the plans that tenants are on."""


@asynccontextmanager
async def _service(process: Process) -> AsyncGenerator[PlanService]:
    async with platform_session(process.database) as session:
        yield PlanService(session, process.catalogue)


@plans.command("list")
@as_json
def list_all(as_json: bool) -> None:
    """List all plans."""

    async def work(process: Process) -> list[Plan]:
        found: list[Plan] = []
        cursor: str | None = None
        async with _service(process) as service:
            while True:
                page = await service.page(Pager(process.cursors, MAX_LIMIT, cursor))
                found += page.items
                if page.next_cursor is None:
                    return found
                cursor = page.next_cursor

    found = run(work)
    show(found, [_line(plan) for plan in found], as_json=as_json)


@plans.command("show")
@name_argument
@as_json
def show_one(name: str, as_json: bool) -> None:
    """Show one plan."""

    async def work(process: Process) -> Plan:
        async with _service(process) as service:
            return await service.find(name)

    _show(run(work), as_json=as_json)


@plans.command()
@name_argument
@limit_option
@feature_option
@rate_option
@as_json
def create(
    name: str, limits: tuple[str, ...], features: tuple[str, ...], rates: tuple[str, ...], as_json: bool
) -> None:
    """Make a plan."""
    data = converted_terms(terms_of(limits=limits, features=features, rates=rates, name=name), PlanCreate)

    async def work(process: Process) -> Plan:
        async with _service(process) as service:
            return await service.create(data, by=operator())

    _show(run(work), as_json=as_json)


@plans.command()
@name_argument
@limit_option
@feature_option
@rate_option
@as_json
def change(
    name: str, limits: tuple[str, ...], features: tuple[str, ...], rates: tuple[str, ...], as_json: bool
) -> None:
    """Change what all tenants of a plan may have, within a second."""
    patch = converted_terms(terms_of(limits=limits, features=features, rates=rates), TermsPatch)

    async def work(process: Process) -> Plan:
        async with _service(process) as service:
            return await service.change(name, patch, by=operator())

    _show(run(work), as_json=as_json)


@plans.command()
@name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete a plan that no tenant is on."""
    if not yes:
        click.confirm(f"Delete the plan {name}?", abort=True, err=True)

    async def work(process: Process) -> None:
        async with _service(process) as service:
            await service.remove(name, by=operator())

    run(work)
    click.echo(f"The plan {name} was deleted.")


def _show(plan: Plan, *, as_json: bool) -> None:
    show(plan, [_line(plan)], as_json=as_json)


def _line(plan: Plan) -> str:
    return f"{plan.name:<24} {said_terms(plan.limits, plan.features, plan.rate_limits)}"
