"""How a tenant's log is read."""

from collections.abc import AsyncGenerator

from leasehold.core.listing.asked import Asked
from leasehold.core.listing.export import BATCH, exported
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import OpenReader, Reader
from leasehold.tenancy.audit.models import IN_TENANT, TenantAuditEvent
from leasehold.tenancy.audit.reading import events_of
from leasehold.tenancy.audit.schemas import AuditEvent

EVENTS = events_of(TenantAuditEvent, search=IN_TENANT)


class AuditReads:
    """The audit log of the bound tenant."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, pager: Pager, asked: Asked) -> Page[AuditEvent]:
        """Return one page of events.

        Raises:
            InvalidCursor: the cursor was issued for another log, order or filter.
        """
        return await EVENTS.page(self._reader, pager, asked)


async def export(open_reader: OpenReader, asked: Asked) -> AsyncGenerator[bytes]:
    """Return the log as lines of JSON; each batch is read by a reader of its own."""

    async def read(behind: AuditEvent | None) -> list[AuditEvent]:
        return await EVENTS.batch(await open_reader(), asked, behind=behind, limit=BATCH)

    return await exported(read)
