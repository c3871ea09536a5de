"""The tables of admins and of their tokens."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, PlatformModel, Timestamped


class Admin(Identified, Timestamped, PlatformModel):
    """Somebody who runs the platform."""

    __tablename__ = "admins"

    name: Mapped[str] = mapped_column(unique=True)
    is_active: Mapped[bool] = mapped_column(server_default="true")


class AdminToken(Identified, Timestamped, PlatformModel):
    """An opaque token of an admin; only its digest is kept."""

    __tablename__ = "admin_tokens"

    admin_id: Mapped[UUID] = mapped_column(ForeignKey(Admin.id), index=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime]
