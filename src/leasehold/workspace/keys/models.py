"""The table of a tenant's API keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, TenantModel, Timestamped
from leasehold.core.personal import ABSENT, UNKNOWN, impersonal, named, personal, secret
from leasehold.workspace.clients.models import ApiClient
from leasehold.workspace.users.models import User


class ApiKey(Identified, Timestamped, TenantModel):
    """A secret with which a script acts for a user or an API client, and which goes when they go."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("(user_id IS NULL) <> (client_id IS NULL)", name="one_owner"),)

    name: Mapped[str] = mapped_column(info=personal(named("Key")))
    digest: Mapped[bytes] = mapped_column(unique=True, info=secret(UNKNOWN))
    previous_digest: Mapped[bytes | None] = mapped_column(unique=True, info=secret(ABSENT))
    """The secret before the present one, good until `previous_expires_at`."""
    previous_expires_at: Mapped[datetime | None]
    scopes: Mapped[list[str]] = mapped_column(info=impersonal("names of scopes"))
    """What it may do, as far as its owner still may."""
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    client_id: Mapped[UUID | None] = mapped_column(ForeignKey(ApiClient.id, ondelete="CASCADE"), index=True)
    is_active: Mapped[bool] = mapped_column(server_default="true")
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    """When it was last used, to about a minute."""
