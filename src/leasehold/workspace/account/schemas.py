"""What users send and receive of themselves."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from leasehold.core.login.schemas import GivenPassword
from leasehold.workspace.scopes import Role
from leasehold.workspace.users.schemas import Email, Name


class TenantIdentity(Struct):
    """The tenant that a token belongs to."""

    id: UUID
    slug: str


class Profile(Struct):
    """What a user knows of itself."""

    email: str
    name: str
    role: Role
    email_confirmed_at: datetime | None
    """When the user last showed that the address is theirs."""
    has_totp: bool
    """Whether a code of an authenticator app is asked for at log-in."""
    created_at: datetime


class Me(Struct):
    """Who the caller is."""

    tenant: TenantIdentity
    kind: Literal["user", "client", "key", "admin"]
    subject: UUID
    name: str
    """E-mail address of a user, name of a client or key; of an admin who impersonates, only that they are one."""
    scopes: list[str]
    profile: Profile | None
    """Null for who is no user."""


class ProfilePatch(Struct, forbid_unknown_fields=True):
    """What to change of oneself; fields that are absent stay. A new address holds once its owner has confirmed it."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    password: GivenPassword | UnsetType = UNSET
    """The present password, without which no new address is taken: who has the address can set another password."""


class Session(Struct):
    """A log-in that is not over."""

    id: UUID
    continued_at: datetime
    """When it last got new tokens."""
    expires_at: datetime
    created_at: datetime
