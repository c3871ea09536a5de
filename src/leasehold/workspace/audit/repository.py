"""How a tenant's log is read."""

from collections.abc import AsyncGenerator, Mapping
from functools import cache

from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import OpenReader, Read, Reader
from leasehold.tenancy.audit.models import TenantAuditEvent
from leasehold.tenancy.audit.reading import events_statement, lines_of, page_of
from leasehold.tenancy.audit.schemas import AuditEvent, EventFilter


class AuditReads:
    """The audit log of the bound tenant."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, pager: Pager, wanted: EventFilter) -> Page[AuditEvent]:
        """Return one page of events, the latest first.

        Raises:
            InvalidCursor: the cursor was issued for another log, or other filters.
        """
        return await page_of(self._fetch, wanted, pager, scope=self._reader.tenant_id.bytes + b"audit")

    async def _fetch(self, values: Mapping[str, object]) -> list[AuditEvent]:
        return await self._reader.all(_read(frozenset(values)), **values)


async def export(open_reader: OpenReader, wanted: EventFilter) -> AsyncGenerator[bytes]:
    """Return the log as lines of JSON, the latest event first; each batch is read by a reader of its own."""

    async def fetch(values: Mapping[str, object]) -> list[AuditEvent]:
        return await (await open_reader()).all(_read(frozenset(values)), **values)

    return await lines_of(fetch, wanted)


@cache
def _read(names: frozenset[str]) -> Read[AuditEvent]:
    return Read(events_statement(TenantAuditEvent, names), AuditEvent)
