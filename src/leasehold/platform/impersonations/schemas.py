"""What admins send and receive to act in a tenant."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from leasehold.core.credentials import ShownOnce
from leasehold.core.text import TEXT_PATTERN

MAX_SECONDS = 900

Scope = Annotated[str, Meta(max_length=100, examples=["items:read"])]


class ImpersonationCreate(Struct, forbid_unknown_fields=True):
    """What an admin wants to do in a tenant, for how long, and why."""

    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=50, description="Scopes of the tenant API")]
    reason: Annotated[
        str,
        Meta(
            min_length=3,
            max_length=200,
            pattern=TEXT_PATTERN,
            description="Why. Both audit logs keep it, so name a ticket and no person",
            examples=["Ticket 4711: an order cannot be opened"],
        ),
    ]
    seconds: Annotated[int, Meta(ge=60, le=MAX_SECONDS, description="After how many seconds it is over")] = MAX_SECONDS


class Impersonation(Struct):
    """An admin who may act in the tenant."""

    id: UUID
    admin_id: UUID
    scopes: list[str]
    reason: str
    expires_at: datetime
    created_at: datetime


class ImpersonationToken(Struct):
    """The token of an impersonation (RFC 6749, section 5.1); it names the admin in `act` (RFC 8693, section 4.1)."""

    id: UUID
    access_token: ShownOnce
    token_type: Literal["Bearer"]
    expires_in: int
    """Seconds until the token is void."""
    scope: str
