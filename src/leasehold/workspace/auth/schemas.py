"""What clients send and receive to sign up, log in and stay logged in."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from leasehold.core.login.schemas import Code, GivenPassword, Password, Secret
from leasehold.core.text import TEXT_PATTERN
from leasehold.workspace.users.schemas import Email, Name

AnyEmail = Annotated[str, Meta(max_length=254, pattern=TEXT_PATTERN, examples=["owner@acme.example"])]


class Registration(Struct, forbid_unknown_fields=True):
    """A sign-up."""

    email: Email
    password: Password
    name: Name = ""
    invitation: Secret | None = None
    """The secret of an invitation, where the tenant asks for one."""


class Login(Struct, forbid_unknown_fields=True):
    """E-mail address and password of a user, and a code where the user has a second factor."""

    email: AnyEmail
    password: GivenPassword
    code: Code | None = None


class Refresh(Struct, forbid_unknown_fields=True):
    """A refresh token."""

    refresh_token: Secret


class ForgottenPassword(Struct, forbid_unknown_fields=True):
    """Whose password is forgotten."""

    email: AnyEmail


class PasswordReset(Struct, forbid_unknown_fields=True):
    """The secret that came by mail, and the password to come."""

    token: Secret
    password: Password


class EmailConfirmation(Struct, forbid_unknown_fields=True):
    """The secret that came by mail."""

    token: Secret


class IssuedToken(Struct):
    """A successful token response (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    """Seconds until the token is void."""
    scope: str
    refresh_token: str | UnsetType = UNSET
    """What continues the session of a user, once; clients get none."""
