"""What one event is, before it is written."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from leasehold.core.actor import Actor
from leasehold.core.changes import Changes
from leasehold.core.ids import made_at, new_id

Target = tuple[str, UUID | None]
"""What was acted on: its kind and its id, which is None where there is no such thing."""
Outcome = Literal["succeeded", "refused"]
NO_CHANGES: Changes = {}


def event_row(
    by: Actor,
    action: str,
    target: Target | None,
    *,
    changes: Changes = NO_CHANGES,
    outcome: Outcome = "succeeded",
    reason: str | None = None,
) -> dict[str, Any]:
    """Return the columns of an event that happens now."""
    event_id = new_id()
    kind, target_id = target or (None, None)
    return {
        "id": event_id,
        "created_at": made_at(event_id),
        "actor_kind": by.kind,
        "actor_id": by.id,
        "impersonator_id": by.impersonator_id,
        "action": action,
        "target_kind": kind,
        "target_id": target_id,
        "outcome": outcome,
        "reason": reason or by.reason,
        "request_id": by.request_id,
        "changes": msgspec.to_builtins(changes),
    }
