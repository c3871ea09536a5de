"""The tables of what admins log in by, and of their log-ins."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.models import Identified, PlatformModel, Timestamped
from leasehold.platform.admins.models import Admin

END_REASONS = ("logged_out", "password_changed", "revoked")


class AdminLogin(Identified, Timestamped, PlatformModel):
    """What an admin proves by who they are. Nothing of it is ever shown."""

    __tablename__ = "admin_logins"

    admin_id: Mapped[UUID] = mapped_column(ForeignKey(Admin.id), unique=True)
    password_hash: Mapped[str | None]
    """None until the admin has chosen one."""
    setup_digest: Mapped[bytes | None] = mapped_column(unique=True)
    """Of the secret by which the admin may choose a password, once."""
    setup_expires_at: Mapped[datetime | None]
    totp_wrapped: Mapped[bytes | None]
    """The secret of the authenticator app, wrapped by the installation key."""
    totp_confirmed_at: Mapped[datetime | None]
    """Since when its codes are asked for."""
    totp_last_step: Mapped[int] = mapped_column(BigInteger, default=0)
    """The 30-second step of the last code that was accepted: no code works twice."""
    recovery_wrapped: Mapped[bytes | None]
    """The recovery codes that are left, wrapped by the installation key."""


class AdminSession(Identified, PlatformModel):
    """A log-in of an admin."""

    __tablename__ = "admin_sessions"
    __table_args__ = (CheckConstraint(f"end_reason IN {END_REASONS}", name="end_reason"),)

    admin_id: Mapped[UUID] = mapped_column(ForeignKey(Admin.id), index=True)
    expires_at: Mapped[datetime]
    """When it ends, however often its token is renewed."""
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=90)
