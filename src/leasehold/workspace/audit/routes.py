"""`/v1/audit`."""

from litestar import Router, get
from litestar.di import NamedDependency, Provide

from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import (
    Action,
    ActorId,
    CreatedBefore,
    CreatedFrom,
    CursorText,
    Limit,
    TargetId,
    TargetKind,
    moment_of,
)
from leasehold.core.reads import OpenReader
from leasehold.core.streaming import NDJSON, LineStream
from leasehold.tenancy.audit.schemas import AuditEvent, EventFilter
from leasehold.tenancy.bind import TenantReader
from leasehold.workspace.audit.repository import AuditReads, export

READ = ("audit:read",)


def provide_filter(
    actor_id: ActorId = None,
    action: Action = None,
    target_kind: TargetKind = None,
    target_id: TargetId = None,
    created_from: CreatedFrom = None,
    created_before: CreatedBefore = None,
) -> EventFilter:
    """Return which events a request asks for."""
    since, before = moment_of(created_from, "created_at[gte]"), moment_of(created_before, "created_at[lt]")
    return EventFilter(actor_id, action, target_kind, target_id, since, before)


@get("/", operation_id="listAuditEvents", summary="List audit events", scopes=READ)
async def list_events(
    reader: NamedDependency[TenantReader],
    cursors: NamedDependency[Cursors],
    wanted: NamedDependency[EventFilter],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[AuditEvent]:
    """Return one page of the tenant's log, the latest first; a cursor works with the filters it was issued for."""
    return await AuditReads(reader).page(Pager(cursors, limit, cursor), wanted)


@get("/export", operation_id="exportAuditEvents", summary="Export audit events", scopes=READ, media_type=NDJSON)
async def export_events(
    open_reader: NamedDependency[OpenReader],
    wanted: NamedDependency[EventFilter],
) -> LineStream:
    """Return the tenant's log as a line of JSON for each event, the latest first."""
    return LineStream(await export(open_reader, wanted))


router = Router(
    "/audit",
    route_handlers=[list_events, export_events],
    dependencies={"wanted": Provide(provide_filter, sync_to_thread=False)},
    tags=["audit"],
)
