"""What is told about signing keys; their private halves never leave the process."""

from datetime import datetime

from msgspec import Struct

from leasehold.core.signing import KeyState


class SigningKey(Struct):
    """A key that signs access tokens, at some time."""

    kid: str
    state: KeyState
    created_at: datetime
    signs_from: datetime
    signs_until: datetime | None
    """When the next key takes over; None while there is no next one."""


class Rotation(Struct):
    """What a rotation came to."""

    key: SigningKey
    is_new: bool
    """Whether the key was made just now, and not by an earlier rotation that it still waits for."""
