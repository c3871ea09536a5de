"""How the platform's log is read."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager

from leasehold.core.database import PlatformSession
from leasehold.core.pagination import Page, Pager
from leasehold.tenancy.audit.models import PlatformAuditEvent
from leasehold.tenancy.audit.reading import events_statement, lines_of, page_of
from leasehold.tenancy.audit.schemas import AuditEvent, EventFilter

OpenSession = Callable[[], AbstractAsyncContextManager[PlatformSession]]


class AuditRepository:
    """The audit log of the platform."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session

    async def page(self, pager: Pager, wanted: EventFilter) -> Page[AuditEvent]:
        """Return one page of events, the latest first.

        Raises:
            InvalidCursor: the cursor was issued for another log, or other filters.
        """
        return await page_of(self.events, wanted, pager, scope=b"audit")

    async def events(self, values: Mapping[str, object]) -> list[AuditEvent]:
        """Return the events that these values ask for."""
        rows = await self._session.execute(events_statement(PlatformAuditEvent, frozenset(values)), values)
        return [AuditEvent(*row) for row in rows]


async def export(open_session: OpenSession, wanted: EventFilter) -> AsyncGenerator[bytes]:
    """Return the log as lines of JSON, the latest event first; each batch is read in a session of its own."""

    async def fetch(values: Mapping[str, object]) -> list[AuditEvent]:
        async with open_session() as session:
            return await AuditRepository(session).events(values)

    return await lines_of(fetch, wanted)
