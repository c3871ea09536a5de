"""How the logs of both planes are listed: the latest event first, by whoever did what to what."""

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy import ColumnElement

from leasehold.core.listing.filters import Equal, Made
from leasehold.core.listing.listing import Listing
from leasehold.tenancy.audit.models import PlatformAuditEvent, TenantAuditEvent
from leasehold.tenancy.audit.schemas import AuditEvent

_Word = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[a-z_.]+$(?!\n)")]


def events_of(
    model: type[TenantAuditEvent] | type[PlatformAuditEvent], *, search: ColumnElement[Any]
) -> Listing[AuditEvent]:
    """Return the list of a log. Each of its filters but the kind has an index in which the events are in order."""
    return Listing(
        model,
        AuditEvent,
        filters={
            "actor_id": Equal(model.actor_id, UUID),
            "action": Equal(model.action, _Word),
            "target_kind": Equal(model.target_kind, _Word),
            "target_id": Equal(model.target_id, UUID),
            "created_at": Made(model.id),
        },
        search=search,
        is_newest_first=True,
    )
