"""What admins send and receive as tokens."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from leasehold.core.credentials import ShownOnce
from leasehold.platform.admins.schemas import Scopes

MAX_DAYS = 365


class AdminTokenCreate(Struct, forbid_unknown_fields=True):
    """A new token of one's own, for a script."""

    scopes: Scopes
    days: Annotated[int, Meta(ge=1, le=MAX_DAYS, description="Days until it is void")] = 30


class AdminToken(Struct):
    """A token, without its secret."""

    id: UUID
    admin_id: UUID
    admin_name: str
    scopes: list[str]
    expires_at: datetime
    last_used_at: datetime | None
    """To about a minute."""
    created_at: datetime


class NewAdminToken(Struct):
    """A token that was just made."""

    id: UUID
    scopes: list[str]
    expires_at: datetime
    token: ShownOnce
