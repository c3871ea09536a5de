"""The worker's part in exports: it makes them, and forgets them."""

from uuid import UUID

from msgspec import Struct

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.line import TooManyAtOnce
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import OpenSession, TenantSession
from leasehold.tenancy.jobs.definition import SPARE_ATTEMPTS, GivenUp, NoArguments, tenant_job
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.workspace.exports.repository import ExportRepository
from leasehold.workspace.exports.writing import write_export

_ATTEMPTS = 3
_BY = Actor.system("exports.make")


class AskedExport(Struct, frozen=True):
    """The export that is to be made."""

    export_id: UUID


@tenant_job("exports.make", timeout_s=3600.0, max_attempts=_ATTEMPTS + SPARE_ATTEMPTS)
async def make_export(arguments: AskedExport, open_session: OpenSession, job: ClaimedJob) -> None:
    """Make an export, which takes the place of those before it; what was tried too often is called failed."""
    if job.attempt > _ATTEMPTS:
        await _give_up(open_session, arguments.export_id, reason="the last time it was cut off")
        return
    try:
        async with open_session() as session:
            await _make(session, arguments.export_id)
    except (DatabaseUnavailable, TooManyAtOnce):
        raise  # which does not count as an attempt
    except Exception as error:
        if job.attempt == _ATTEMPTS:
            await _give_up(open_session, arguments.export_id, reason=f"{type(error).__name__}: {error}")
        raise


async def _make(session: TenantSession, export_id: UUID) -> None:
    made = await write_export(session, export_id)
    if made is None:
        return
    taken_at, size_bytes = made
    exports = ExportRepository(session=session)
    await exports.finish(export_id, taken_at=taken_at, size_bytes=size_bytes)
    await exports.delete_others(export_id)
    changes = created(size_bytes=size_bytes)
    await AuditLog(session, _BY).record("export.made", ("export", export_id), changes=changes)


async def _give_up(open_session: OpenSession, export_id: UUID, *, reason: str) -> None:
    """Call an export failed if it still waits.

    Raises:
        GivenUp: it did.
    """
    async with open_session() as session:
        has_failed = await ExportRepository(session=session).fail(export_id)
    if has_failed:
        raise GivenUp(attempts=_ATTEMPTS, reason=reason)


@tenant_job("exports.forget")
async def forget_exports(_arguments: NoArguments, session: TenantSession) -> None:
    """Delete the exports that can be fetched no more."""
    await ExportRepository(session=session).delete_expired()
