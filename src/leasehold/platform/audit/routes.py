"""`/platform/v1/audit`."""

from litestar import Router, get
from litestar.di import NamedDependency, Provide

from leasehold.core.database import PlatformSession
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
from leasehold.core.streaming import NDJSON, LineStream
from leasehold.platform.audit.repository import AuditRepository, OpenSession, export
from leasehold.tenancy.audit.schemas import AuditEvent, EventFilter

READ = ("platform:audit:read",)


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


@get("/", operation_id="listPlatformAuditEvents", summary="List audit events of the platform", scopes=READ)
async def list_events(
    session: NamedDependency[PlatformSession],
    cursors: NamedDependency[Cursors],
    wanted: NamedDependency[EventFilter],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[AuditEvent]:
    """Return one page of the platform's log, the latest first; a cursor works with the filters it was issued for."""
    return await AuditRepository(session).page(Pager(cursors, limit, cursor), wanted)


@get(
    "/export",
    operation_id="exportPlatformAuditEvents",
    summary="Export audit events of the platform",
    scopes=READ,
    media_type=NDJSON,
)
async def export_events(
    open_session: NamedDependency[OpenSession],
    wanted: NamedDependency[EventFilter],
) -> LineStream:
    """Return the platform's log as a line of JSON for each event, the latest first."""
    return LineStream(await export(open_session, wanted))


router = Router(
    "/audit",
    route_handlers=[list_events, export_events],
    dependencies={"wanted": Provide(provide_filter, sync_to_thread=False)},
    tags=["audit"],
)
