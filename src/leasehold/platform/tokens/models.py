"""The table of admins' tokens."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, PlatformModel, Timestamped
from leasehold.platform.admins.models import Admin


class AdminToken(Identified, Timestamped, PlatformModel):
    """An opaque token of an admin; only its digest is kept."""

    __tablename__ = "admin_tokens"

    admin_id: Mapped[UUID] = mapped_column(ForeignKey(Admin.id), index=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    """To about a minute."""
