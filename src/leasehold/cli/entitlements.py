"""`leasehold tenants plan`, `limit`, `feature` and `rate-limit`: what one tenant may have."""

from typing import Any

import click
from rich_click import RichCommand

from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show
from leasehold.cli.terms import converted_terms, said_terms, terms_of
from leasehold.core.database import platform_session
from leasehold.platform.entitlements.schemas import EntitlementsPatch, TenantEntitlements
from leasehold.platform.entitlements.service import EntitlementService
from leasehold.platform.tenants.repository import TenantRepository
from leasehold.platform.tenants.service import UnknownSlug
from leasehold.process import Process

slug_argument = click.argument("slug")


@click.command("entitlements", cls=RichCommand)
@slug_argument
@as_json
def entitlements(slug: str, as_json: bool) -> None:
    """Show what a tenant may have."""
    _run(slug, None, as_json=as_json)


@click.command("plan", cls=RichCommand)
@slug_argument
@click.argument("plan")
@as_json
def set_plan(slug: str, plan: str, as_json: bool) -> None:
    """Put a tenant on a plan."""
    _run(slug, {"plan": plan}, as_json=as_json)


@click.command("limit", cls=RichCommand)
@slug_argument
@click.argument("limits", metavar="NAME=NUMBER...", nargs=-1, required=True)
@as_json
def set_limit(slug: str, limits: tuple[str, ...], as_json: bool) -> None:
    """Limit a tenant otherwise than its plan does: items=1000, or items=default for as the plan does."""
    _run(slug, terms_of(limits=limits), as_json=as_json)


@click.command("feature", cls=RichCommand)
@slug_argument
@click.argument("name")
@click.argument("switch", type=click.Choice(["on", "off", "default"]))
@as_json
def set_feature(slug: str, name: str, switch: str, as_json: bool) -> None:
    """Give a tenant a feature, or take it away; default is as its plan says."""
    _run(slug, terms_of(features=[f"{name}={switch}"]), as_json=as_json)


@click.command("rate-limit", cls=RichCommand)
@slug_argument
@click.argument("rates", metavar="NAME=WINDOWS...", nargs=-1, required=True)
@as_json
def set_rate_limit(slug: str, rates: tuple[str, ...], as_json: bool) -> None:
    """Let a tenant ask more or less often: tenant=100/10s,5000/1h or client=off; default is as its plan says."""
    _run(slug, terms_of(rates=rates), as_json=as_json)


COMMANDS = (entitlements, set_plan, set_limit, set_feature, set_rate_limit)


def _run(slug: str, said: dict[str, Any] | None, *, as_json: bool) -> None:
    """Change what is said, and show what a tenant may have then."""
    patch = None if said is None else converted_terms(said, EntitlementsPatch)

    async def work(process: Process) -> TenantEntitlements:
        async with platform_session(process.database) as session:
            tenant = await TenantRepository(session=session).get_one_or_none(slug=slug)
            if tenant is None:
                raise UnknownSlug(slug=slug)
            service = EntitlementService(session, process.catalogue)
            if patch is None:
                return await service.of(tenant.id)
            return await service.change(tenant.id, patch, by=operator())

    found = run(work)
    holds, own = (said_terms(one.limits, one.features, one.rate_limits) for one in (found, found.own))
    show(found, [f"{slug} is on the plan {found.plan}: {holds}", f"of that its own: {own}"], as_json=as_json)
