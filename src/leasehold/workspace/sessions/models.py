"""The tables of sessions and of their refresh tokens."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.models import Identified, TenantModel
from leasehold.core.personal import goes

END_REASONS = ("logged_out", "replayed", "password_changed", "revoked")


class UserSession(Identified, TenantModel):
    """A log-in of a user, and the family of its refresh tokens."""

    __tablename__ = "user_sessions"
    __table_args__ = (
        CheckConstraint(f"end_reason IN {END_REASONS}", name="end_reason"),
        {"info": goes("to_customer")},
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]
    """When it ends, however often it is continued."""
    continued_at: Mapped[datetime] = mapped_column(default=utc_now)
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=90)


class RefreshToken(Identified, TenantModel):
    """A secret that continues a session once. Those that were used are kept, so that a stolen one is noticed."""

    __tablename__ = "refresh_tokens"
    __table_args__ = ({"info": goes("nowhere")},)

    session_id: Mapped[UUID] = mapped_column(ForeignKey("user_sessions.id", ondelete="CASCADE"), index=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    replaced_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=90)
