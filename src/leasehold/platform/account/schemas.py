"""What admins receive of themselves."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct


class PlatformIdentity(Struct):
    """Who the admin of a token is."""

    kind: Literal["admin"]
    subject: UUID
    name: str
    scopes: list[str]
    """Of the token, as far as the admin holds them today."""
    has_totp: bool
    """Whether a code of an authenticator app is asked for at log-in."""
    session_id: UUID | None
    """The log-in; null for the token of a script."""
    expires_at: datetime
    """When the token is void."""
