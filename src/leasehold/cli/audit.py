"""`leasehold audit`: who did what, on the platform or in one tenant."""

from datetime import UTC, datetime
from uuid import UUID

import click
from rich_click import RichGroup

from leasehold.cli.options import as_json
from leasehold.cli.session import run, show, tenant_service
from leasehold.core.database import platform_session
from leasehold.core.listing.asked import MADE, Asked
from leasehold.core.pagination import MAX_LIMIT, Page, Pager
from leasehold.platform.audit.repository import AuditRepository
from leasehold.process import Process
from leasehold.tenancy.audit.schemas import AuditEvent
from leasehold.tenancy.bind import tenant_reader
from leasehold.tenancy.registry import tenant_ref_by_id
from leasehold.workspace.audit.repository import AuditReads


@click.group(cls=RichGroup)
def audit() -> None:
    """Read the audit logs."""


@audit.command("list")
@click.option("--tenant", metavar="SLUG", help="The log of this tenant, whatever its state; else the platform's.")
@click.option("--action", help="Only this action, as client.created.")
@click.option("--actor", metavar="ID", type=click.UUID, help="Only what this user, client, key or admin did.")
@click.option("--target", metavar="ID", type=click.UUID, help="Only what was done to the thing with this id.")
@click.option("--search", metavar="WORDS", help="Only events whose action, target kind and reason have these words.")
@click.option("--since", type=click.DateTime(), help="From this moment on, in UTC.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, MAX_LIMIT), help="How many events.")
@as_json
def list_some(
    *,
    tenant: str | None,
    action: str | None,
    actor: UUID | None,
    target: UUID | None,
    search: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List events, the latest first."""
    from_then = since.replace(tzinfo=UTC) if since else None
    values = {"actor_id": actor, "action": action, "target_id": target, "q": search, "created_at[gte]": from_then}
    asked = Asked(MADE, is_descending=True, values={name: value for name, value in values.items() if value is not None})

    async def work(process: Process) -> Page[AuditEvent]:
        pager = Pager(process.cursors, limit)
        if tenant is not None:
            return await _page_of_tenant(process, tenant, pager, asked)
        async with platform_session(process.database) as session:
            return await AuditRepository(session).page(pager, asked)

    page = run(work)
    lines = [_line(event) for event in page.items] or ["There are no such events."]
    show(page.items, [*lines, *(["There are more."] if page.has_more else [])], as_json=as_json)


async def _page_of_tenant(process: Process, slug: str, pager: Pager, asked: Asked) -> Page[AuditEvent]:
    async with tenant_service(process) as tenants:
        tenant_id = (await tenants.find_by_slug(slug)).id
    async with platform_session(process.database) as session:
        tenant = await tenant_ref_by_id(session, tenant_id)
    process.window.demand(tenant)
    try:
        return await AuditReads(tenant_reader(process.readers, tenant)).page(pager, asked)
    finally:
        await process.readers.close()


def _line(event: AuditEvent) -> str:
    actor = f"{event.actor_kind} {event.actor_id}" if event.actor_id else event.actor_kind
    target = f"{event.target_kind} {event.target_id or ''}".rstrip() if event.target_kind else ""
    outcome = "" if event.outcome == "succeeded" else f" {event.outcome}"
    reason = f" ({event.reason})" if event.reason else ""
    changed = f" {', '.join(event.changes)}" if event.changes else ""
    return f"{event.created_at:%Y-%m-%d %H:%M:%S}  {event.action:<24} {target}{changed}{outcome}, by {actor}{reason}"
