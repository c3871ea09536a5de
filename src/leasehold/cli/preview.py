"""What a run would do: the plan for `--dry-run`, and `leasehold migrate sql`."""

import asyncio
from collections import defaultdict
from dataclasses import replace
from typing import Any

import click

from leasehold.cli.fleet_run import fleet_run
from leasehold.cli.installation import installation
from leasehold.tenancy.fleet.plan import Plan, RunOptions
from leasehold.tenancy.fleet.preview import statements_for
from leasehold.tenancy.fleet.run import FleetRun


@click.command("sql")
@click.argument("slug")
@click.option("--to", "target", default="head", show_default=True, help="A revision, also an earlier one or -1.")
def sql(slug: str, target: str) -> None:
    """Print the SQL that would migrate one tenant. Nothing is run."""
    with installation() as settings:
        options = RunOptions(target=target, only=(slug,), allow_destructive=True)
        run = fleet_run(settings, options)
        back = replace(run, options=replace(options, direction="downgrade"))
        lines = asyncio.run(_statements(run)) or asyncio.run(_statements(back))
    click.echo("\n".join(lines) if lines else f"-- {slug} stands there already")


def plan_lines(plan: Plan) -> list[str]:
    """Return a plan for a person."""
    lines = [f"platform: {plan.platform[0] or 'base'} -> {plan.platform[1]}"] if plan.platform else []
    for (start, goal), rendering in plan.renderings.items():
        slugs = [tenant.slug for tenant in plan.tenants if (tenant.start, tenant.goal) == (start, goal)]
        live = sum(segment.is_live for segment in rendering.segments)
        by_hand = f" and {live} live revisions" if live else ""
        lines.append(
            f"{start} -> {goal}: {len(rendering.statements)} statements{by_hand} in each of {len(slugs)} tenants: "
            + ", ".join(slugs)
        )
    lines += [f"{wave.name}: {len(wave.tenants)} tenants" for wave in plan.waves]
    return [*lines, f"{len(plan.tenants)} of {plan.fleet} tenants would be migrated; nothing was touched"]


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan for a program."""
    by_way: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for tenant in plan.tenants:
        by_way[tenant.start, tenant.goal].append(tenant.slug)
    ways = [
        {
            "start": start,
            "goal": goal,
            "statements": len(plan.renderings[start, goal].statements),
            "segments": len(plan.renderings[start, goal].segments),
            "tenants": slugs,
        }
        for (start, goal), slugs in by_way.items()
    ]
    waves = [{"name": wave.name, "tenants": [tenant.slug for tenant in wave.tenants]} for wave in plan.waves]
    return {"platform": plan.platform, "fleet": plan.fleet, "ways": ways, "waves": waves}


async def _statements(run: FleetRun) -> list[str]:
    plan = await run.plan()
    return await statements_for(run.owner_url, run.history, plan, run.options.limits, run.metadata)
