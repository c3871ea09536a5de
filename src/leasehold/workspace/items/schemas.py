"""What clients send and receive as items."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from leasehold.core.text import TEXT_PATTERN

Title = Annotated[
    str,
    Meta(min_length=1, max_length=200, pattern=TEXT_PATTERN, description="What the item is called", examples=["Desk"]),
]
Description = Annotated[
    str, Meta(max_length=10_000, pattern=TEXT_PATTERN, description="Anything worth saying", examples=["Oak, 140 cm"])
]


class ItemCreate(Struct, forbid_unknown_fields=True):
    """A new item."""

    title: Title
    description: Description = ""


class ItemPatch(Struct, forbid_unknown_fields=True):
    """What to change of an item; fields that are absent stay."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class Item(Struct):
    """An item."""

    id: UUID
    title: str
    description: str
    created_at: datetime
    updated_at: datetime
