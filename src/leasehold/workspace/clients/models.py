"""The table of a tenant's API clients."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.listing.filters import searchable
from leasehold.core.models import Identified, TenantModel, Timestamped
from leasehold.core.personal import ABSENT, UNKNOWN, impersonal, named, personal, secret


class ApiClient(Identified, Timestamped, TenantModel):
    """A program that acts in the tenant on its own behalf; its id is the OAuth client_id."""

    __tablename__ = "api_clients"
    __table_args__ = (Index(None, "name", "id"),)

    name: Mapped[str] = mapped_column(info=personal(named("Client")))
    secret_digest: Mapped[bytes] = mapped_column(info=secret(UNKNOWN))
    previous_secret_digest: Mapped[bytes | None] = mapped_column(info=secret(ABSENT))
    """The secret before the present one, good until `previous_secret_expires_at`."""
    previous_secret_expires_at: Mapped[datetime | None]
    scopes: Mapped[list[str]] = mapped_column(info=impersonal("names of scopes"))
    is_active: Mapped[bool] = mapped_column(server_default="true")
    last_used_at: Mapped[datetime | None]
    """When it last got a token, to about a minute."""


SEARCHED = searchable(ApiClient.name)
Index("ix_api_clients_search", SEARCHED, postgresql_using="gin")
