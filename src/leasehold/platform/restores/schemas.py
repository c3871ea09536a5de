"""What restores and drills came to."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class Waiting(Struct, frozen=True):
    """A tenant that was put back, which is not confirmed yet."""

    slug: str
    tenant_id: UUID
    aside_id: UUID
    """Under which is kept what is not served now."""
    made_at: datetime
    """The moment to which the tenant was put back."""
    set_aside_at: datetime
    is_undone: bool
    """Whether the tenant has again what it had before, and the earlier state is what is kept."""


class Drilled(Struct, frozen=True):
    """The newest backup of a tenant, or of the platform, and whether it could be restored."""

    what: str
    """The slug of the tenant, its id where it has none any more, or `platform`."""
    tenant_id: UUID | None
    at: datetime | None
    """The moment that the backup has; None where there is no backup."""
    rows: int
    bytes: int
    seconds: float
    reason: str | None
    """Why it could not be restored; None where it could."""
    is_loaded: bool
    """Whether it was loaded. The platform's is only read where the platform was migrated since."""

    @property
    def is_good(self) -> bool:
        """Whether it could be restored."""
        return self.reason is None


class Drill(Struct, frozen=True):
    """What a drill came to."""

    passed: int
    failed: int
    seconds: float
    backups: tuple[Drilled, ...]


class CameBack(Struct, frozen=True):
    """A tenant of a platform that was taken over."""

    slug: str
    tenant_id: UUID
    at: datetime | None
    """The moment that it has."""
    rows: int
    reason: str | None
    """Why it did not come back; None where it did."""


class Whole(Struct, frozen=True):
    """What came of an installation that was brought back."""

    is_taken_over: bool
    """Whether its platform came out of a backup now; otherwise it was there already."""
    came_back: int
    failed: int
    tenants: tuple[CameBack, ...]
