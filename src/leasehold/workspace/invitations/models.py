"""The table of invitations that were not accepted yet."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, TenantModel, Timestamped
from leasehold.core.personal import ABSENT, EMAIL, goes, personal, secret


class Invitation(Identified, Timestamped, TenantModel):
    """An offer to become a user of the tenant. Its secret is only in the mail; accepting it deletes it."""

    __tablename__ = "invitations"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'member')", name="role"),
        CheckConstraint("email = lower(email)", name="email_lower_case"),
        {"info": goes("to_customer")},
    )

    email: Mapped[str] = mapped_column(unique=True, info=personal(EMAIL))
    role: Mapped[str]
    invited_by: Mapped[UUID | None]
    """The user or client that made it; None for the operator."""
    digest: Mapped[bytes | None] = mapped_column(unique=True, info=secret(ABSENT))
    """None until the mail is on its way."""
    expires_at: Mapped[datetime]
