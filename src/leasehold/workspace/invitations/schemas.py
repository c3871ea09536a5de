"""What clients send and receive as invitations. Their secret is in the mail alone."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from leasehold.workspace.scopes import Role
from leasehold.workspace.users.schemas import Email


class InvitationCreate(Struct, forbid_unknown_fields=True):
    """Whom to invite, and as what."""

    email: Email
    role: Role = "member"


class NewInvitation(Struct):
    """An invitation with its secret, which is shown this once, to the operator alone."""

    id: UUID
    email: str
    role: Role
    secret: str
    link: str
    expires_at: datetime


class Invitation(Struct):
    """An invitation that was not accepted yet."""

    tagged_by: ClassVar[tuple[str, ...]] = ("id", "email", "role", "invited_by", "expires_at")

    id: UUID
    email: str
    role: Role
    invited_by: UUID | None
    """The user or client that made it; null for the operator."""
    expires_at: datetime
    created_at: datetime
