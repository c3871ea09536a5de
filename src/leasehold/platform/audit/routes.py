"""`/platform/v1/audit`."""

from litestar import Router, get
from litestar.di import NamedDependency

from leasehold.core.database import PlatformSession
from leasehold.core.listing.asked import Asked
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.streaming import NDJSON, LineStream
from leasehold.platform.audit.repository import EVENTS, AuditRepository, OpenSession, export
from leasehold.tenancy.audit.schemas import AuditEvent

READ = ("platform:audit:read",)


@get(
    "/", operation_id="listPlatformAuditEvents", lists=EVENTS, summary="List audit events of the platform", scopes=READ
)
async def list_events(
    session: NamedDependency[PlatformSession],
    cursors: NamedDependency[Cursors],
    asked: NamedDependency[Asked],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[AuditEvent]:
    """Return one page of the platform's log, the latest event first, or another."""
    return await AuditRepository(session).page(Pager(cursors, limit, cursor), asked)


@get(
    "/export",
    operation_id="exportPlatformAuditEvents",
    lists=EVENTS,
    summary="Export audit events of the platform",
    scopes=READ,
    media_type=NDJSON,
    line=AuditEvent,
)
async def export_events(
    open_session: NamedDependency[OpenSession],
    asked: NamedDependency[Asked],
) -> LineStream:
    """Return the platform's log as a line of JSON for each event."""
    return LineStream(await export(open_session, asked))


router = Router(
    "/audit",
    route_handlers=[list_events, export_events],
    tags=["audit"],
)
