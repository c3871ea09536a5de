"""The table of secrets that were sent by mail."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.models import Identified, TenantModel
from leasehold.core.personal import goes


class Confirmation(Identified, TenantModel):
    """What a user can do by a secret that was sent to an e-mail address; the latest for each purpose is good."""

    __tablename__ = "confirmations"
    __table_args__ = (
        CheckConstraint("purpose IN ('password', 'email')", name="purpose"),
        UniqueConstraint("user_id", "purpose"),
        {"info": goes("nowhere")},
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    purpose: Mapped[str]
    email: Mapped[str]
    """Where it was sent, and what it shows to be the user's."""
    digest: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=90)
