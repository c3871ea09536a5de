"""The worker's part in exports: it makes them, and forgets them."""

from uuid import UUID

from msgspec import Struct

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import OpenSession, TenantSession
from leasehold.tenancy.jobs.definition import NoArguments, tenant_job
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.workspace.exports.repository import ExportRepository
from leasehold.workspace.exports.writing import write_export

_ATTEMPTS = 3
_BY = Actor.system("exports.make")


class AskedExport(Struct, frozen=True):
    """The export that is to be made."""

    export_id: UUID


@tenant_job("exports.make", timeout_s=3600.0, max_attempts=_ATTEMPTS)
async def make_export(arguments: AskedExport, open_session: OpenSession, job: ClaimedJob) -> None:
    """Make an export, which takes the place of those before it."""
    export_id = arguments.export_id
    try:
        async with open_session() as session:
            made = await write_export(session, export_id)
            if made is None:
                return
            taken_at, size_bytes = made
            exports = ExportRepository(session=session)
            await exports.finish(export_id, taken_at=taken_at, size_bytes=size_bytes)
            await exports.delete_others(export_id)
            changes = created(size_bytes=size_bytes)
            await AuditLog(session, _BY).record("export.made", ("export", export_id), changes=changes)
    except Exception:
        if job.attempt >= _ATTEMPTS:
            async with open_session() as session:
                await ExportRepository(session=session).fail(export_id)
        raise


@tenant_job("exports.forget")
async def forget_exports(_arguments: NoArguments, session: TenantSession) -> None:
    """Delete the exports that can be fetched no more."""
    await ExportRepository(session=session).delete_expired()
