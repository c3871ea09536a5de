"""The tables of the audit logs, one in each tenant's schema and one in the shared schema."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from leasehold.core.listing.filters import searchable_names
from leasehold.core.models import Identified, PlatformModel, TenantModel
from leasehold.core.personal import ABSENT, EMPTY_OBJECT, impersonal, personal

TABLE = "audit_events"


class AuditColumns(Identified):
    """One act. It has no foreign keys: it outlives what it speaks of."""

    __tablename__ = TABLE

    created_at: Mapped[datetime]
    """The millisecond that the id carries, so that a time is a range of ids."""
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    impersonator_id: Mapped[UUID | None]
    """The admin who acted in the actor's name."""
    action: Mapped[str] = mapped_column(info=impersonal("a word of the code"))
    target_kind: Mapped[str | None] = mapped_column(info=impersonal("a word of the code"))
    target_id: Mapped[UUID | None]
    outcome: Mapped[str]
    reason: Mapped[str | None] = mapped_column(info=personal(ABSENT))
    """The command or the job that acted, or why it was refused."""
    request_id: Mapped[str | None] = mapped_column(info=personal(ABSENT))
    """Which a client may choose freely."""
    changes: Mapped[Any] = mapped_column(JSONB, info=personal(EMPTY_OBJECT))

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:  # noqa: N805
        return (
            CheckConstraint(
                "actor_kind IN ('user', 'client', 'key', 'admin', 'operator', 'system', 'anonymous')",
                name="actor_kind",
            ),
            CheckConstraint("outcome IN ('succeeded', 'refused')", name="outcome"),
            Index(None, "actor_id", "id"),
            Index(None, "action", "id"),
            Index(None, "target_id", "id"),
            {"info": {"rights": "append_only"}},
        )


class TenantAuditEvent(AuditColumns, TenantModel):
    """Something that was done in a tenant, or to it."""


class PlatformAuditEvent(AuditColumns, PlatformModel):
    """Something that was done on the platform. It holds ids, and nothing personal."""


IN_TENANT = searchable_names(TenantAuditEvent.action, TenantAuditEvent.target_kind, TenantAuditEvent.reason)
ON_PLATFORM = searchable_names(PlatformAuditEvent.action, PlatformAuditEvent.target_kind, PlatformAuditEvent.reason)
Index("ix_audit_events_search", IN_TENANT, postgresql_using="gin")
Index("ix_audit_events_search", ON_PLATFORM, postgresql_using="gin")
