"""What is sent and received to log in. Secrets and codes are shown once."""

from typing import Annotated

from msgspec import Meta, Struct

from leasehold.core.passwords import MAX_LENGTH, MIN_LENGTH
from leasehold.core.text import TEXT_PATTERN

Password = Annotated[
    str,
    Meta(
        min_length=MIN_LENGTH, max_length=MAX_LENGTH, description="Any characters", examples=["correct horse battery"]
    ),
]
"""A password that is chosen."""

GivenPassword = Annotated[str, Meta(max_length=MAX_LENGTH, examples=["correct horse battery"])]
"""A password that is to be right."""

Secret = Annotated[str, Meta(max_length=200, pattern=TEXT_PATTERN)]

Code = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=32,
        pattern=TEXT_PATTERN,
        description="A code of the authenticator app, or a recovery code; each works once",
        examples=["492039"],
    ),
]


class FirstCode(Struct, forbid_unknown_fields=True):
    """The first code of an authenticator app, which shows that it has the secret."""

    code: Code


class PasswordOnly(Struct, forbid_unknown_fields=True):
    """One's password."""

    password: GivenPassword


class PasswordAndCode(Struct, forbid_unknown_fields=True):
    """One's password, and a code of the second factor."""

    password: GivenPassword
    code: Code


class PasswordChange(Struct, forbid_unknown_fields=True):
    """The present password and the one to come."""

    current_password: GivenPassword
    new_password: Password


class NewTotp(Struct):
    """A secret for an authenticator app, shown this once."""

    secret: str
    """In Base32, to be typed."""
    uri: str
    """`otpauth://`, to be shown as a QR code."""


class NewRecoveryCodes(Struct):
    """Codes that stand in for the authenticator app, each once, shown this once."""

    recovery_codes: list[str]
