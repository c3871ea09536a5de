"""The table of a tenant's users."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.listing.filters import searchable
from leasehold.core.models import Identified, TenantModel, Timestamped
from leasehold.core.personal import ABSENT, EMAIL, named, personal, secret


class User(Identified, Timestamped, TenantModel):
    """A person who works in the tenant."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'member')", name="role"),
        CheckConstraint("email = lower(email)", name="email_lower_case"),
    )

    email: Mapped[str] = mapped_column(unique=True, info=personal(EMAIL))
    name: Mapped[str] = mapped_column(server_default="", info=personal(named("User")))
    role: Mapped[str]
    password_hash: Mapped[str | None] = mapped_column(info=secret(ABSENT))
    is_active: Mapped[bool] = mapped_column(server_default="true")
    email_confirmed_at: Mapped[datetime | None]


SEARCHED = searchable(User.email, User.name)
Index("ix_users_search", SEARCHED, postgresql_using="gin")
