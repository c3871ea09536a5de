"""How the logs of both planes are read: page by page, or line by line to the end; always the latest event first."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Integer, Select, Text, Uuid, bindparam, select

from leasehold.core.ids import id_bound
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import columns_of
from leasehold.tenancy.audit.models import PlatformAuditEvent, TenantAuditEvent
from leasehold.tenancy.audit.schemas import AuditEvent, EventFilter

Model = type[TenantAuditEvent] | type[PlatformAuditEvent]
Fetch = Callable[[Mapping[str, object]], Awaitable[list[AuditEvent]]]
"""Runs the statement for the names of some values, with these values."""

_BATCH = 1000
_encode_lines = msgspec.json.Encoder().encode_lines


@cache
def events_statement(model: Model, names: frozenset[str]) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads events by the parameters with these names, and no others.

    There is one for each combination, so that PostgreSQL plans for what is asked. A time is a bound of ids: whatever is
    asked for, one index gives the rows in the order in which they are wanted.
    """
    conditions: dict[str, ColumnElement[bool]] = {
        "actor_id": model.actor_id == bindparam("actor_id", type_=Uuid),
        "action": model.action == bindparam("action", type_=Text),
        "target_kind": model.target_kind == bindparam("target_kind", type_=Text),
        "target_id": model.target_id == bindparam("target_id", type_=Uuid),
        "first": model.id >= bindparam("first", type_=Uuid),
        "end": model.id < bindparam("end", type_=Uuid),
        "before": model.id < bindparam("before", type_=Uuid),
    }
    asked = [condition for name, condition in conditions.items() if name in names]
    columns = columns_of(model, AuditEvent)
    return select(*columns).where(*asked).order_by(model.id.desc()).limit(bindparam("limit", type_=Integer))


async def page_of(fetch: Fetch, wanted: EventFilter, pager: Pager, *, scope: bytes) -> Page[AuditEvent]:
    """Return one page of a log, the latest event first.

    Raises:
        InvalidCursor: the cursor was issued for another log, or other filters.
    """
    scope += msgspec.json.encode(wanted)
    rows = await fetch(_values(wanted, before=pager.after(scope), limit=pager.limit + 1))
    return pager.page(rows, scope)


async def lines_of(fetch: Fetch, wanted: EventFilter) -> AsyncGenerator[bytes]:
    """Return a log as lines of JSON, a batch at a time; between two batches nothing is held.

    The first batch is read at once, while what goes wrong can still be answered.
    """
    return _lines(fetch, wanted, await fetch(_values(wanted, before=None, limit=_BATCH)))


async def _lines(fetch: Fetch, wanted: EventFilter, rows: list[AuditEvent]) -> AsyncGenerator[bytes]:
    while rows:
        yield _encode_lines(rows)
        if len(rows) < _BATCH:
            return
        rows = await fetch(_values(wanted, before=rows[-1].id, limit=_BATCH))


def _values(wanted: EventFilter, *, before: UUID | None, limit: int) -> dict[str, object]:
    values: dict[str, object | None] = {
        "actor_id": wanted.actor_id,
        "action": wanted.action,
        "target_kind": wanted.target_kind,
        "target_id": wanted.target_id,
        "first": wanted.since and id_bound(wanted.since),
        "end": wanted.until and id_bound(wanted.until),
        "before": before,
        "limit": limit,
    }
    return {name: value for name, value in values.items() if value is not None}
