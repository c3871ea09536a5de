"""What clients send and receive to log in, and what a token endpoint answers."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from leasehold.core.text import TEXT_PATTERN
from leasehold.workspace.users.schemas import Email, Name, Password


class Registration(Struct, forbid_unknown_fields=True):
    """A sign-up."""

    email: Email
    password: Password
    name: Name = ""


class Login(Struct, forbid_unknown_fields=True):
    """E-mail address and password of a user."""

    email: Annotated[str, Meta(max_length=254, pattern=TEXT_PATTERN, examples=["owner@acme.example"])]
    password: Annotated[str, Meta(max_length=128, examples=["correct horse battery"])]


class TokenRequest(Struct):
    """The form of a token request (RFC 6749, section 4.4.2), and the client's credentials unless in HTTP Basic."""

    grant_type: str = ""
    scope: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


class IssuedToken(Struct):
    """A successful token response (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    """Seconds until the token is void."""
    scope: str


class TenantIdentity(Struct):
    """The tenant that a credential belongs to."""

    id: UUID
    slug: str


class Me(Struct):
    """Who the caller is."""

    tenant: TenantIdentity
    kind: Literal["user", "client", "key"]
    subject: UUID
    name: str
    """E-mail address of a user, name of a client or key."""
    scopes: list[str]
