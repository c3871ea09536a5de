"""The tables of second factors and of recovery codes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.models import Identified, TenantModel
from leasehold.core.personal import goes


class Totp(Identified, TenantModel):
    """The secret that a user shares with an authenticator app."""

    __tablename__ = "totp"
    __table_args__ = ({"info": goes("nowhere")},)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    wrapped: Mapped[bytes]
    """The secret, wrapped by the installation key."""
    confirmed_at: Mapped[datetime | None]
    """Since when it is asked for; None until the user has shown a first code."""
    last_step: Mapped[int] = mapped_column(BigInteger)
    """The 30-second step of the last code that was accepted: no code works twice."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=90)


class RecoveryCode(Identified, TenantModel):
    """A code that stands in for the authenticator app; using it deletes it."""

    __tablename__ = "recovery_codes"
    __table_args__ = ({"info": goes("nowhere")},)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=90)
