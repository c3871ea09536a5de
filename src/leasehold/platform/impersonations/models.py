"""The table of impersonations."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.models import Identified, PlatformModel
from leasehold.platform.admins.models import Admin
from leasehold.platform.auth.models import AdminSession
from leasehold.tenancy.registry import Tenant


class Impersonation(Identified, PlatformModel):
    """What lets one admin act in one tenant. It ends by the clock, by hand, or with the admin's log-in."""

    __tablename__ = "impersonations"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey(Tenant.id), index=True)
    admin_id: Mapped[UUID] = mapped_column(ForeignKey(Admin.id))
    session_id: Mapped[UUID] = mapped_column(ForeignKey(AdminSession.id, ondelete="CASCADE"), index=True)
    """The log-in by which it was asked for."""
    scopes: Mapped[list[str]]
    reason: Mapped[str]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=90)
