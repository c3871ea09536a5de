"""What clients send and receive as users. A password goes in and never comes out."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from leasehold.core.login.schemas import Password
from leasehold.core.text import TEXT_PATTERN
from leasehold.workspace.scopes import Role

Email = Annotated[
    str,
    Meta(
        pattern=r"^[^@\s\u0000]{1,64}@[^@\s.\u0000]+(\.[^@\s.\u0000]+)+$(?!\n)",
        max_length=254,
        description="E-mail address, unique in the tenant, kept in lower case",
        examples=["owner@acme.example"],
    ),
]
SoughtEmail = Annotated[str, Meta(max_length=254)]
Name = Annotated[
    str, Meta(max_length=200, pattern=TEXT_PATTERN, description="How the person is called", examples=["Sam Doe"])
]


class UserCreate(Struct, forbid_unknown_fields=True):
    """A new user; without a password it cannot log in."""

    email: Email
    name: Name = ""
    role: Role = "member"
    password: Password | None = None


class UserPatch(Struct, forbid_unknown_fields=True):
    """What to change of a user; fields that are absent stay."""

    name: Name | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class User(Struct):
    """A user of the tenant."""

    tagged_by: ClassVar[tuple[str, ...]] = (
        "id",
        "email",
        "name",
        "role",
        "is_active",
        "email_confirmed_at",
        "updated_at",
    )

    id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    email_confirmed_at: datetime | None
    """When the user last showed that the address is theirs."""
    created_at: datetime
    updated_at: datetime
