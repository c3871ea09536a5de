"""What the readers of a log send and receive."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from leasehold.core.actor import ActorKind


class AuditEvent(Struct):
    """Who did what to what."""

    id: UUID
    created_at: datetime
    actor_kind: ActorKind
    actor_id: UUID | None
    """The user, client, key or admin; null for who has no id."""
    impersonator_id: UUID | None
    """The admin who acted in the actor's name."""
    action: str
    target_kind: str | None
    target_id: UUID | None
    outcome: Literal["succeeded", "refused"]
    reason: str | None
    """The command or the job that acted, or why it was refused."""
    request_id: str | None
    changes: dict[str, dict[str, Any]]
    """Field -> `{from, to}`; `{}` for one whose values are not kept."""

    def __post_init__(self) -> None:
        """Take the changes as the driver hands them out, too, which is as text."""
        if isinstance(self.changes, str):
            self.changes = msgspec.json.decode(self.changes)
