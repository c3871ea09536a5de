"""The tenant of a request, as a value that is passed, never looked up from afar."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from leasehold.core.errors import NotFound
from leasehold.tenancy.entitlements import UNRESTRICTED, Entitlements


class TenantState(StrEnum):
    """Where a tenant stands in its life. Only an active one is served."""

    VACANT = "vacant"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    MAINTENANCE = "maintenance"
    DELETED = "deleted"
    PURGING = "purging"
    PURGED = "purged"


class UnknownTenant(NotFound):
    """No tenant answers here."""

    type = "unknown-tenant"
    title = "Unknown tenant"


@dataclass(frozen=True, slots=True)
class TenantRef:
    """What the request path needs to know of a tenant. `id`, `schema` and `role` never change; the slug may."""

    id: UUID
    slug: str
    schema: str
    role: str
    state: TenantState
    revision: str
    """The Alembic revision of the tenant's schema."""
    served_by: str | None = None
    """The oldest head that code may have been built with and serve this revision; None where nobody said."""
    entitlements: Entitlements = UNRESTRICTED
    """What it may have, as far as it was read: one that only names the tenant says nothing of it."""
    terms: str = ""
    """Which terms they follow from: another text after each change of them, also one that was taken back."""
