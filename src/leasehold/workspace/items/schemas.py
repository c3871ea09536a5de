"""What clients send and receive as items."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from leasehold.core.bulk import MOST_LINES
from leasehold.core.text import TEXT_PATTERN

Title = Annotated[
    str,
    Meta(min_length=1, max_length=200, pattern=TEXT_PATTERN, description="What the item is called", examples=["Desk"]),
]
Description = Annotated[
    str, Meta(max_length=10_000, pattern=TEXT_PATTERN, description="Anything worth saying", examples=["Oak, 140 cm"])
]
Status = Literal["open", "done", "archived"]
Tag = Annotated[str, Meta(min_length=1, max_length=50, pattern=TEXT_PATTERN)]
SoughtTag = Annotated[str, Meta(max_length=50)]
Tags = Annotated[list[Tag], Meta(max_length=20, description="Words to find it by", examples=[["office", "oak"]])]
OwnerId = Annotated[UUID, Meta(description="An active user of the tenant")]
Version = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class ItemCreate(Struct, forbid_unknown_fields=True):
    """A new item."""

    title: Title
    description: Description = ""
    status: Status = "open"
    owner_id: OwnerId | None = None
    tags: Tags = field(default_factory=list[str])


class ItemPatch(Struct, forbid_unknown_fields=True):
    """What to change of an item (RFC 7396); fields that are absent stay, null takes away what can be missing."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    owner_id: OwnerId | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET


class ItemChange(ItemPatch, forbid_unknown_fields=True, kw_only=True):
    """What to change of one item of many."""

    id: UUID
    version: Version | UnsetType = UNSET
    """Refuses the line where the item has another version by now."""


class ItemLine(ItemCreate, forbid_unknown_fields=True, kw_only=True):
    """A new item as a line of an import. A line of an export is one too: what only the server gives is left aside."""

    id: Any = None
    version: Any = None
    created_at: Any = None
    updated_at: Any = None


class Item(Struct):
    """An item."""

    tagged_by: ClassVar[tuple[str, ...]] = ("id", "version", "updated_at", "owner_id")
    """`owner_id` too: PostgreSQL takes it away when the user is deleted."""

    id: UUID
    title: str
    description: str
    status: Status
    owner_id: UUID | None
    tags: list[str]
    version: int
    """Grows by one with each change."""
    created_at: datetime
    updated_at: datetime


class ItemsCreate(Struct, forbid_unknown_fields=True):
    """New items."""

    items: Annotated[list[Any], Meta(min_length=1, max_length=MOST_LINES)]


class ItemsUpdate(Struct, forbid_unknown_fields=True):
    """Changes of items."""

    items: Annotated[list[Any], Meta(min_length=1, max_length=MOST_LINES)]


class Imported(Struct):
    """What an import has come to."""

    imported: int
    """How many items were made."""
