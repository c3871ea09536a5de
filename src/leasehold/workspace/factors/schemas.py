"""What clients send and receive as second factors. Secrets and codes are shown once."""

from typing import Annotated

from msgspec import Meta, Struct

from leasehold.core.text import TEXT_PATTERN

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
    """The user's password."""

    password: Annotated[str, Meta(max_length=128, examples=["correct horse battery"])]


class PasswordAndCode(Struct, forbid_unknown_fields=True):
    """The user's password, and a code of the second factor."""

    password: Annotated[str, Meta(max_length=128, examples=["correct horse battery"])]
    code: Code


class NewTotp(Struct):
    """A secret for an authenticator app, shown this once."""

    secret: str
    """In Base32, to be typed."""
    uri: str
    """`otpauth://`, to be shown as a QR code."""


class NewRecoveryCodes(Struct):
    """Codes that stand in for the authenticator app, each once, shown this once."""

    recovery_codes: list[str]
