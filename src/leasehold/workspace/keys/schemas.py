"""What clients send and receive as API keys. A key is shown once, when it is made."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from leasehold.core.credentials import ShownOnce
from leasehold.core.text import TEXT_PATTERN
from leasehold.workspace.clients.schemas import GraceSeconds, Scopes

MAX_DAYS = 366

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=TEXT_PATTERN,
        description="What the key is for",
        examples=["Backup"],
    ),
]
ExpiresAt = Annotated[
    datetime,
    Meta(tz=True, description=f"From when on it is void: at most {MAX_DAYS} days from now"),
]


class ApiKeyCreate(Struct, forbid_unknown_fields=True):
    """A new API key."""

    name: Name
    scopes: Scopes
    expires_at: ExpiresAt


class ApiKeyPatch(Struct, forbid_unknown_fields=True):
    """What to change of an API key; fields that are absent stay. Scopes can only be taken away."""

    name: Name | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class KeyRotation(Struct, forbid_unknown_fields=True):
    """How to replace the secret of a key."""

    grace_seconds: GraceSeconds = 0
    expires_at: ExpiresAt | UnsetType = UNSET


class ApiKey(Struct):
    """A secret with which a script acts for a user or an API client."""

    tagged_by: ClassVar[tuple[str, ...]] = (
        "id",
        "name",
        "scopes",
        "user_id",
        "client_id",
        "is_active",
        "expires_at",
        "previous_expires_at",
        "updated_at",
    )
    noted_by: ClassVar[tuple[str, ...]] = ("last_used_at",)

    id: UUID
    name: str
    scopes: list[str]
    user_id: UUID | None
    """The user it acts for, and with whom it ends."""
    client_id: UUID | None
    """The API client it acts for, and with which it ends."""
    is_active: bool
    expires_at: datetime
    last_used_at: datetime | None
    """When it was last used, to about a minute."""
    previous_expires_at: datetime | None
    """Until when the secret before the present one is good, too."""
    created_at: datetime
    updated_at: datetime


class NewApiKey(Struct):
    """An API key with its secret, which is shown this once."""

    id: UUID
    key: ShownOnce
    name: str
    scopes: list[str]
    expires_at: datetime
