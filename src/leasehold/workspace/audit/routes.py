"""`/v1/audit`."""

from litestar import Router, get
from litestar.di import NamedDependency

from leasehold.core.listing.asked import Asked
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.reads import OpenReader
from leasehold.core.streaming import NDJSON, LineStream
from leasehold.tenancy.audit.schemas import AuditEvent
from leasehold.tenancy.bind import TenantReader
from leasehold.workspace.audit.repository import EVENTS, AuditReads, export

READ = ("audit:read",)


@get("/", operation_id="listAuditEvents", lists=EVENTS, summary="List audit events", scopes=READ)
async def list_events(
    reader: NamedDependency[TenantReader],
    cursors: NamedDependency[Cursors],
    asked: NamedDependency[Asked],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[AuditEvent]:
    """Return one page of the tenant's log, the latest event first, or another."""
    return await AuditReads(reader).page(Pager(cursors, limit, cursor), asked)


@get(
    "/export",
    operation_id="exportAuditEvents",
    lists=EVENTS,
    summary="Export audit events",
    scopes=READ,
    media_type=NDJSON,
    line=AuditEvent,
)
async def export_events(
    open_reader: NamedDependency[OpenReader],
    asked: NamedDependency[Asked],
) -> LineStream:
    """Return the tenant's log as a line of JSON for each event."""
    return LineStream(await export(open_reader, asked))


router = Router(
    "/audit",
    route_handlers=[list_events, export_events],
    tags=["audit"],
)
