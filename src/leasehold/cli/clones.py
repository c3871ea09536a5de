"""`leasehold tenants clone`: another tenant like one that is there."""

from functools import partial
from uuid import UUID

import click
from msgspec import Struct

from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show, tenant_service
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.clone import Cloned


class Copied(Struct):
    """What is told of a copy."""

    id: UUID
    slug: str
    source: str
    is_scrubbed: bool
    rows: dict[str, int]


@click.command()
@click.argument("source")
@click.option("--slug", required=True, help="The slug of the copy.")
@click.option("--name", help="What people call the copy; its slug if missing.")
@click.option("--scrub", is_flag=True, help="Replace all that is personal, by the rules of the models.")
@as_json
def clone(source: str, slug: str, name: str | None, *, scrub: bool, as_json: bool) -> None:
    """Copy a tenant as it is at one moment, without what lets anybody in; the tenant goes on meanwhile."""

    async def work(process: Process) -> Cloned:
        async with tenant_service(process) as service:
            source_id = (await service.find_by_slug(source)).id
        return await process.cloner.clone(
            source_id,
            tenant_id=new_id(),
            slug=slug,
            name=name or slug,
            is_scrubbed=scrub,
            by=operator(),
            report=partial(_report, as_json=as_json),
        )

    done = run(work)
    how = "without anything personal" if scrub else "with all that is personal"
    lines = [f"{slug} is a copy of {source}, {how}: {sum(done.rows.values())} rows, id {done.tenant.id}."]
    show(Copied(done.tenant.id, slug, source, scrub, done.rows), lines, as_json=as_json)


def _report(table: str, rows: int, *, as_json: bool) -> None:
    if not as_json:
        click.echo(f"{table}: {rows} rows", err=True)
