"""`/v1/tenant/exports`."""

from datetime import timedelta
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from leasehold.core.actor import Actor
from leasehold.core.reads import OpenReader
from leasehold.core.signed_links import InvalidLink, SignedLinks
from leasehold.core.streaming import ZIP, FileStream
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.exports.schemas import Export
from leasehold.workspace.exports.service import (
    PATH,
    ExportService,
    ExportUnderWay,
    NotReady,
    find_export,
    open_file,
)

EXPORT = ("tenant:export",)


def provide_exports(session: NamedDependency[TenantSession], exports_kept: NamedDependency[timedelta]) -> ExportService:
    """Return the service on the session of the request."""
    return ExportService(session, kept=exports_kept)


@post(
    "/",
    operation_id="requestExport",
    summary="Ask for all data",
    problems=(ExportUnderWay,),
    scopes=EXPORT,
    status_code=202,
    dependencies={"exports": Provide(provide_exports, sync_to_thread=False)},
)
async def request_export(exports: NamedDependency[ExportService], actor: NamedDependency[Actor]) -> Export:
    """Have a worker make a ZIP of all that the tenant has, as JSON lines; it takes the place of the one before."""
    return await exports.request(by=actor)


@get("/{export_id:uuid}", operation_id="getExport", summary="Get an export", scopes=EXPORT)
async def get_export(
    export_id: FromPath[UUID],
    reader: NamedDependency[TenantReader],
    signed_links: NamedDependency[SignedLinks],
    export_link_seconds: NamedDependency[int],
) -> Export:
    """Return how far an export is, and a fresh link to its file as soon as there is one."""
    return await find_export(reader, export_id, signed_links, link_seconds=export_link_seconds)


@get(
    "/{export_id:uuid}/download",
    operation_id="downloadExport",
    summary="Download an export",
    problems=(InvalidLink, NotReady),
    signed_link=True,
    media_type=ZIP,
)
async def download_export(
    export_id: FromPath[UUID], tenant: NamedDependency[TenantRef], open_signed_reader: NamedDependency[OpenReader]
) -> FileStream:
    """Return the file of an export, by the link that it names: it needs no token, so a browser can follow it."""
    size_bytes, parts = await open_file(open_signed_reader, export_id)
    return FileStream(parts, size_bytes=size_bytes, filename=f"{tenant.slug}.zip", media_type=ZIP)


router = Router(PATH.removeprefix("/v1"), route_handlers=[request_export, get_export, download_export], tags=["tenant"])
