"""What is in a store of backups, and what a run came to."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


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


class Marker(Struct, frozen=True):
    """What a marker says: that all was as in an earlier archive, which is known by its seal."""

    archive: str
    seal: str
