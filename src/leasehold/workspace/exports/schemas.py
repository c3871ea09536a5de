"""What clients receive as exports."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

State = Literal["waiting", "ready", "failed"]


class StoredExport(Struct):
    """An export as its row has it."""

    id: UUID
    state: State
    created_at: datetime
    taken_at: datetime | None
    expires_at: datetime
    size_bytes: int | None


class Export(Struct):
    """An export of all that the tenant has."""

    id: UUID
    state: State
    """It waits for a worker, is ready to be fetched, or has failed and is to be asked for again."""
    created_at: datetime
    taken_at: datetime | None
    """The moment whose rows it has; null until it is ready."""
    expires_at: datetime
    """When it can be fetched no more."""
    size_bytes: int | None
    """How large the file is; null until it is ready."""
    download_url: Annotated[str | None, Meta(description="A link to the file, which needs no token; null if none")]
    download_expires_at: datetime | None
    """When the link is good no more; asking again gives another one."""


class Chunk(Struct):
    """A part of a file."""

    data: bytes
