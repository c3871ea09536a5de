"""What admins send and receive as admins."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from leasehold.core.credentials import ShownOnce

AdminName = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$(?!\n)",
        description="By which the admin logs in: small letters, digits, `.`, `_` and `-`",
        examples=["robin"],
    ),
]
Scope = Annotated[str, Meta(max_length=100, examples=["platform:tenants:read"])]
Scopes = Annotated[list[Scope], Meta(max_length=50, description="Scopes of the platform API")]


class AdminCreate(Struct, forbid_unknown_fields=True):
    """A new admin."""

    name: AdminName
    scopes: Scopes


class AdminPatch(Struct, forbid_unknown_fields=True):
    """What to change of an admin; fields that are absent stay."""

    scopes: Scopes | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class Admin(Struct):
    """An admin."""

    tagged_by: ClassVar[tuple[str, ...]] = ("id", "name", "is_active", "scopes", "updated_at")
    noted_by: ClassVar[tuple[str, ...]] = ("has_totp",)

    id: UUID
    name: str
    is_active: bool
    scopes: list[str]
    """What they may do at most."""
    has_totp: bool
    """Whether a code of an authenticator app is asked for when they log in."""
    created_at: datetime
    updated_at: datetime


class PasswordSetup(Struct):
    """A secret by which an admin chooses a password, once."""

    admin_id: UUID
    name: str
    setup_secret: ShownOnce
    expires_at: datetime
    """When the secret is void."""
