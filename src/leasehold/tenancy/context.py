"""The tenant of a request, as a value that is passed, never looked up from afar."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from leasehold.core.clock import utc_now
from leasehold.core.errors import NotFound, Unavailable
from leasehold.tenancy.entitlements import UNRESTRICTED, Entitlements

_READ_ONLY = "This tenant is in maintenance; it can be read and not changed."


class TenantState(StrEnum):
    """Where a tenant stands in its life. An active one is served, and one in maintenance where it may be read."""

    VACANT = "vacant"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    MAINTENANCE = "maintenance"
    DELETED = "deleted"
    PURGING = "purging"
    PURGED = "purged"
    SET_ASIDE = "set_aside"
    """What a tenant had until it was put back to an earlier state; it waits to be destroyed, or put in its place."""


class UnknownTenant(NotFound):
    """No tenant answers here."""

    type = "unknown-tenant"
    title = "Unknown tenant"


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What a tenant in maintenance still answers, and for how long that is planned."""

    is_read_only: bool
    """Whether it can be read; otherwise it answers nothing."""
    ends_at: datetime | None = None


class TenantInMaintenance(Unavailable):
    """This tenant is in maintenance."""

    type = "tenant-maintenance"
    title = "Tenant in maintenance"
    retry_after_s = 60

    def __init__(self, maintenance: Maintenance | None = None) -> None:
        super().__init__(_READ_ONLY if maintenance and maintenance.is_read_only else None)
        if maintenance and maintenance.ends_at:
            left_s = (maintenance.ends_at - utc_now()).total_seconds()
            self.headers = {"Retry-After": str(max(1, math.ceil(left_s)))}


class TenantPutBack(Unavailable):
    """This tenant was put back to an earlier state in this moment."""

    type = "tenant-put-back"
    title = "Tenant put back"


@dataclass(frozen=True, slots=True)
class TenantRef:
    """What the request path needs to know of a tenant.

    The `id` never changes; the slug may. `schema` and `role` change when the tenant is put back to an earlier state:
    its former ones are then nobody's any more, so whoever has not heard of it finds nothing.
    """

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
    maintenance: Maintenance | None = None

    @property
    def is_read_only(self) -> bool:
        """Whether nothing of the tenant may be changed now."""
        return self.maintenance is not None and self.maintenance.is_read_only
