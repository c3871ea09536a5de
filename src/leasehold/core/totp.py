"""Codes by time (TOTP, RFC 6238), as authenticator apps show them, and recovery codes for a lost device."""

import base64
import os
import secrets
import time

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

_STEP_S = 30
_DIGITS = 6
_DRIFT_STEPS = 1
"""A clock may be wrong by one step either way (RFC 6238, section 5.2)."""
_SECRET_BYTES = 20
# Letters and digits that are not taken for each other on paper.
_CODE_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"


def new_totp_secret() -> bytes:
    """Return a fresh secret of 160 bits."""
    return os.urandom(_SECRET_BYTES)


def totp_text(secret: bytes) -> str:
    """Return a secret in Base32, to be typed."""
    return base64.b32encode(secret).decode()


def totp_uri(secret: bytes, *, account: str, issuer: str) -> str:
    """Return a secret as an `otpauth://` URI, to be shown as a QR code."""
    return _totp(secret).get_provisioning_uri(account, issuer)


def accepted_step(secret: bytes, code: str, *, last_step: int) -> int | None:
    """Return the step of 30 seconds to which a code belongs, None where it is wrong or not later than `last_step`.

    Who keeps the step as the next `last_step` lets no code work twice (RFC 6238, section 5.2).
    """
    now = int(time.time()) // _STEP_S
    for step in range(now - _DRIFT_STEPS, now + _DRIFT_STEPS + 1):
        is_right = secrets.compare_digest(_totp(secret).generate(step * _STEP_S), code.encode())
        if is_right and step > last_step:
            return step
    return None


def new_recovery_codes(count: int = 10) -> list[str]:
    """Return fresh recovery codes, each of 59 bits."""
    codes = ("".join(secrets.choice(_CODE_LETTERS) for _ in range(12)) for _ in range(count))
    return ["-".join((code[:4], code[4:8], code[8:])) for code in codes]


def plain_recovery_code(code: str) -> str:
    """Return a recovery code without what people add or leave out when they type it."""
    return "".join(letter for letter in code.lower() if letter in _CODE_LETTERS)


def _totp(secret: bytes) -> TOTP:
    # SHA-1 is what authenticator apps know, and its weakness is not one of HMAC (RFC 6238, section 1.2).
    return TOTP(secret, _DIGITS, SHA1(), _STEP_S)  # noqa: S303  # what RFC 6238 and all apps have; no collision helps anybody
