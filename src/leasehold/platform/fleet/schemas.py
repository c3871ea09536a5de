"""What admins see of the fleet."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

RunKind = Literal["upgrade", "downgrade", "call"]
RunOutcome = Literal["running", "succeeded", "failed", "stopped", "lost"]


class RevisionCount(Struct):
    """How many tenants stand at one revision."""

    revision: str
    tenants: int


class Straggler(Struct):
    """A tenant that does not stand at head, and what its last attempt came to."""

    tenant_id: UUID
    slug: str
    revision: str
    error: str | None
    """Why the last attempt failed; null if there was none, or it succeeded."""
    attempts: int
    last_attempt_at: datetime | None


class FleetStatus(Struct):
    """Where the schemas of all tenants stand."""

    head: str
    tenants: int
    at_head: int
    failed: int
    """How many stragglers there are whose last attempt failed."""
    revisions: list[RevisionCount]
    stragglers: list[Straggler]
    """Up to a hundred tenants that are not at head, those that failed first."""
    running: "Run | None"
    """The run that holds the lease now."""


class Run(Struct):
    """One run over the fleet."""

    id: UUID
    kind: RunKind
    target: str
    """A revision as it was named, or the function that was called."""
    outcome: RunOutcome
    reason: str | None
    """Why it was stopped, or how many tenants it skipped, for they were purged meanwhile."""
    host: str
    pid: int
    planned: int
    succeeded: int
    failed: int
    started_at: datetime
    finished_at: datetime | None


class RunResult(Struct):
    """What a run came to for one tenant."""

    id: UUID
    tenant_id: UUID
    slug: str
    start: str
    target: str
    error: str | None
    attempts: int
    duration_ms: int
    finished_at: datetime
