"""What admins send and receive to log in and stay logged in."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from leasehold.core.login.schemas import Code, GivenPassword, Password, Secret
from leasehold.core.text import TEXT_PATTERN


class AdminLogin(Struct, forbid_unknown_fields=True):
    """Name and password of an admin, and a code where a second factor is asked for."""

    name: Annotated[str, Meta(max_length=200, pattern=TEXT_PATTERN, examples=["robin"])]
    password: GivenPassword
    code: Code | None = None


class NewPassword(Struct, forbid_unknown_fields=True):
    """The setup secret that an admin was given, and the password that they choose."""

    setup_secret: Secret
    password: Password


class IssuedAdminToken(Struct):
    """The token of a log-in. It is renewed before it is void; who lets it run out logs in again."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    """Seconds until the token is void."""
    scope: str
    must_add_totp: bool
    """Whether nothing else is allowed until an authenticator app was added: then `scope` is empty. Renew behind it."""
