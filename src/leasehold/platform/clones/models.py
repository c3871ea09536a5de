"""The table of copies that were asked for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.models import Identified, PlatformModel
from leasehold.tenancy.registry import Tenant


class TenantClone(Identified, PlatformModel):
    """A copy that was asked for. Without an end it waits for a worker, and with an error it was not made."""

    __tablename__ = "tenant_clones"
    __table_args__ = ({"info": {"travels": False}},)

    source_id: Mapped[UUID] = mapped_column(ForeignKey(Tenant.id), index=True)
    tenant_id: Mapped[UUID]
    """The id that the copy has, or will have: by it a worker knows what another has done already."""
    slug: Mapped[str]
    name: Mapped[str]
    is_scrubbed: Mapped[bool]
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    ended_at: Mapped[datetime | None]
