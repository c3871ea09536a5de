"""What clients send and receive as API clients. A secret is shown once, when it is made."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from leasehold.core.credentials import ShownOnce
from leasehold.core.text import TEXT_PATTERN

MAX_GRACE_S = 7 * 24 * 3600

Name = Annotated[
    str,
    Meta(min_length=1, max_length=200, pattern=TEXT_PATTERN, description="What the client is for", examples=["ERP"]),
]
Scopes = Annotated[
    list[Annotated[str, Meta(max_length=100)]],
    Meta(max_length=100, description="What it may do, no more than who makes it", examples=[["items:read"]]),
]
GraceSeconds = Annotated[
    int,
    Meta(ge=0, le=MAX_GRACE_S, description="For how many seconds the former secret is good, too", examples=[3600]),
]


class ApiClientCreate(Struct, forbid_unknown_fields=True):
    """A new API client."""

    name: Name
    scopes: Scopes


class ApiClientPatch(Struct, forbid_unknown_fields=True):
    """What to change of an API client; fields that are absent stay."""

    name: Name | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class Rotation(Struct, forbid_unknown_fields=True):
    """How to replace a secret."""

    grace_seconds: GraceSeconds = 0


class ApiClient(Struct):
    """A program that acts in the tenant on its own behalf; its id is the OAuth client_id."""

    tagged_by: ClassVar[tuple[str, ...]] = (
        "id",
        "name",
        "scopes",
        "is_active",
        "previous_secret_expires_at",
        "updated_at",
    )
    noted_by: ClassVar[tuple[str, ...]] = ("last_used_at",)

    id: UUID
    name: str
    scopes: list[str]
    is_active: bool
    last_used_at: datetime | None
    """When it last got a token, to about a minute."""
    previous_secret_expires_at: datetime | None
    """Until when the secret before the present one is good, too."""
    created_at: datetime
    updated_at: datetime


class NewApiClient(Struct):
    """An API client with its secret, which is shown this once."""

    client_id: UUID
    client_secret: ShownOnce
    name: str
    scopes: list[str]
