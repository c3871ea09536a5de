"""What can be done with exports."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from leasehold.core.actor import Actor
from leasehold.core.clock import utc_now
from leasehold.core.errors import Conflict, NotFound
from leasehold.core.reads import OpenReader, Reader
from leasehold.core.signed_links import SignedLinks
from leasehold.core.sqlstate import violated_constraint
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.workspace.exports.jobs import AskedExport, make_export
from leasehold.workspace.exports.repository import ExportReads, ExportRepository
from leasehold.workspace.exports.schemas import Export, StoredExport

PATH = "/v1/tenant/exports"


class ExportUnderWay(Conflict):
    """An export of this tenant is being made; wait until it is ready."""

    type = "export-under-way"
    title = "Export under way"


class NotReady(Conflict):
    """The export is not ready to be fetched."""

    type = "export-not-ready"
    title = "Export not ready"


class ExportService:
    """The exports of the bound tenant, for one unit of work."""

    def __init__(self, session: TenantSession, *, kept: timedelta) -> None:
        """Take for how long an export can be fetched."""
        self._session = session
        self._exports = ExportRepository(session=session)
        self._kept = kept

    async def request(self, *, by: Actor) -> Export:
        """Ask for all that the tenant has; one export is made at a time.

        Raises:
            ExportUnderWay: another one waits.
        """
        await self._exports.give_up_waiting()
        await self._exports.delete_expired()
        values = {"state": "waiting", "expires_at": utc_now() + self._kept}
        try:
            stored = await self._exports.insert(values, returning=StoredExport)
        except IntegrityError as error:
            if violated_constraint(error) == "uq_tenant_exports_waiting":
                raise ExportUnderWay from error
            raise
        await enqueue(self._session, make_export, AskedExport(stored.id))
        await AuditLog(self._session, by).record("export.requested", ("export", stored.id))
        return _shown(stored)


async def find_export(reader: Reader, export_id: UUID, links: SignedLinks, *, link_seconds: int) -> Export:
    """Return an export, with a fresh link to its file as soon as there is one.

    Raises:
        NotFound: there is none with this id, or its time is over.
    """
    stored = await _present(reader, export_id)
    if stored.state != "ready":
        return _shown(stored)
    until = int(min(utc_now() + timedelta(seconds=link_seconds), stored.expires_at).timestamp())
    url = links.to(f"{PATH}/{export_id}/download", tenant_id=reader.tenant_id, expires_at=until)
    return _shown(stored, url=url, until=datetime.fromtimestamp(until, UTC))


async def open_file(open_reader: OpenReader, export_id: UUID) -> tuple[int, AsyncGenerator[bytes]]:
    """Return the size of the file of an export, and its parts; each is read by a reader of its own.

    Raises:
        NotFound: there is no such export, or its time is over.
        NotReady: it waits for a worker, or has failed.
    """
    stored = await _present(await open_reader(), export_id)
    if stored.size_bytes is None:
        raise NotReady
    return stored.size_bytes, _parts(open_reader, export_id)


async def _parts(open_reader: OpenReader, export_id: UUID) -> AsyncGenerator[bytes]:
    position = 0
    while (data := await ExportReads(await open_reader()).chunk(export_id, position)) is not None:
        yield data
        position += 1


async def _present(reader: Reader, export_id: UUID) -> StoredExport:
    stored = await ExportReads(reader).find(export_id)
    if stored is None or stored.expires_at <= utc_now():
        raise NotFound
    return stored


def _shown(stored: StoredExport, *, url: str | None = None, until: datetime | None = None) -> Export:
    return Export(
        stored.id,
        stored.state,
        stored.created_at,
        stored.taken_at,
        stored.expires_at,
        stored.size_bytes,
        download_url=url,
        download_expires_at=until,
    )
