"""What admins see of jobs, of the workers that run them, and of what runs by the clock."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

JobState = Literal["delayed", "ready", "running", "dead", "dropped"]


class JobFilter(Struct, frozen=True):
    """Which jobs a list holds; a field that is None leaves all of them."""

    state: JobState | None = None
    tenant_id: UUID | None = None
    name: str | None = None


class Job(Struct):
    """A job that has not succeeded: one that did is gone."""

    id: UUID
    tenant_id: UUID | None
    """Whose job it is; null for one of the platform."""
    tenant_slug: str | None
    name: str
    state: JobState
    priority: int
    """Among the jobs of one tenant, the higher goes first."""
    attempts: int
    """How often it was tried; an admin's retry begins to count anew."""
    max_attempts: int
    run_at: datetime
    """When it was or will be ready."""
    created_at: datetime
    ended_at: datetime | None
    error: str | None
    """Why the last attempt failed, or why it was dropped."""


class JobDetail(Job):
    """A job with all that can be known of its failure.

    Its arguments are no part of it: they are the tenant's data, and may be personal, as the text of a mail is. What an
    error says was written by whoever raised it, and can still quote some of them.
    """

    traceback: str | None


class JobSummary(Struct):
    """How many jobs there are in each state."""

    delayed: int = 0
    """They wait for their time."""
    ready: int = 0
    """They wait for a worker, or until their tenant is active."""
    running: int = 0
    dead: int = 0
    """They failed too often, and wait for an admin."""
    dropped: int = 0


class Worker(Struct):
    """A worker that lives."""

    id: UUID
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime


class PeriodicTask(Struct):
    """A job of the platform that runs by the clock."""

    id: UUID
    name: str
    cron: str
    """When it is due, in UTC."""
    due_at: datetime
    """When it was last due; when it was first heard of if it was not due since."""
    ended_at: datetime | None
    outcome: Literal["succeeded", "failed"] | None
    """What the last call came to; null if none has ended."""
    error: str | None
