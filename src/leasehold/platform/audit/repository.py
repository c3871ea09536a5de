"""How the platform's log is read."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

from leasehold.core.database import PlatformSession
from leasehold.core.listing.asked import Asked
from leasehold.core.listing.export import BATCH, exported
from leasehold.core.pagination import Page, Pager
from leasehold.tenancy.audit.models import ON_PLATFORM, PlatformAuditEvent
from leasehold.tenancy.audit.reading import events_of
from leasehold.tenancy.audit.schemas import AuditEvent

EVENTS = events_of(PlatformAuditEvent, search=ON_PLATFORM)
OpenSession = Callable[[], AbstractAsyncContextManager[PlatformSession]]


class AuditRepository:
    """The audit log of the platform."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session

    async def page(self, pager: Pager, asked: Asked) -> Page[AuditEvent]:
        """Return one page of events.

        Raises:
            InvalidCursor: the cursor was issued for another log, order or filter.
        """
        return await EVENTS.page_in(self._session, pager, asked)


async def export(open_session: OpenSession, asked: Asked) -> AsyncGenerator[bytes]:
    """Return the log as lines of JSON; each batch is read in a session of its own."""

    async def read(behind: AuditEvent | None) -> list[AuditEvent]:
        async with open_session() as session:
            return await EVENTS.batch_in(session, asked, behind=behind, limit=BATCH)

    return await exported(read)
