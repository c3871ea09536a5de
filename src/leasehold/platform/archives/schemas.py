"""What an export came to."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class Exported(Struct, frozen=True):
    """An archive that was made."""

    file: str
    tenant_id: UUID
    slug: str
    revision: str
    made_at: datetime
    tables: int
    rows: int
    bytes: int
    """Of all tables, before they are compressed."""
    file_bytes: int
