"""What is in a store of backups, and what a run came to."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from leasehold.tenancy.archive.manifest import KeyDerivation


class Backup(Struct, frozen=True):
    """A tenant, or the platform, as it was at one time."""

    tenant_id: UUID | None
    """None for the platform."""
    at: datetime
    """When it was so: the moment just behind the snapshot."""
    path: str
    """The object that says so: the archive itself, or a marker that nothing had changed since an earlier one."""
    archive: str
    """The object that has the rows."""
    bytes: int
    """Of the archive; 0 where it is missing."""

    @property
    def is_marker(self) -> bool:
        """Whether the rows are in an earlier backup."""
        return self.path != self.archive


class Target(Struct, frozen=True):
    """A tenant of which a backup is made."""

    id: UUID
    slug: str


Outcome = Literal["made", "unchanged", "resumed", "failed", "skipped"]
"""What became of a target: a new archive; a marker, for nothing had changed; nothing, for the run that was gone on with
has one; a failure; or nothing, for the run had to end.
"""


class Result(Struct, frozen=True):
    """What a run came to for a tenant, or for the platform (None)."""

    target: Target | None
    outcome: Outcome
    bytes: int = 0
    """Of the new archive."""
    reason: str | None = None
    """Why it failed."""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.target.slug if self.target else "the platform"


class RunBegun(Struct, frozen=True):
    """What is written before anything else of a run."""

    started_at: datetime
    leasehold: str
    is_whole: bool
    """Whether it is of the platform and of all tenants."""
    key: KeyDerivation
    """The same for all archives of a run, and of the next one: only so can they be compared."""


class RunRecord(Struct, frozen=True):
    """What a run came to, written at its end. One without it was killed, or is under way."""

    started_at: datetime
    finished_at: datetime
    leasehold: str
    is_whole: bool
    made: int
    unchanged: int
    resumed: int
    skipped: int
    bytes: int
    failed: tuple[Result, ...]
    deleted: int
    """How many old backups were deleted at its end."""
    undeleted: str | None = None
    """Why the old ones could not be deleted."""

    @property
    def has_succeeded(self) -> bool:
        """Whether all that it was to do has been done."""
        return not self.failed and not self.skipped


class Pruned(Struct, frozen=True):
    """What retention came to."""

    kept: int
    deleted: tuple[str, ...]
    """The objects that were deleted, or would be."""
    unknown: int
    """How many ids there are in the store that no tenant of this installation has; they are left alone."""


class Marker(Struct, frozen=True):
    """What a marker says: that all was as in an earlier archive, which is known by its seal."""

    archive: str
    seal: str
