"""The tables of the jobs, in the shared schema: a tenant's role reaches none of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Computed, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, PlatformModel

CHANNEL = "leasehold_jobs"
PLATFORM_LANE = UUID(int=0)
"""The lane of the platform's own jobs; a tenant's is its id."""

_UNFINISHED = "dedupe_key IS NOT NULL AND state IN ('delayed', 'ready', 'running')"


class QueuedJob(Identified, PlatformModel):
    """One job that was asked for. One that succeeded has no row any more.

    `delayed` waits for its time, `ready` for a worker; `dead` failed too often, `dropped` is not wanted any more.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('delayed', 'ready', 'running', 'dead', 'dropped')", name="state"),
        Index("ix_jobs_ready", "lane", text("priority DESC"), "run_at", "id", postgresql_where=text("state = 'ready'")),
        Index("ix_jobs_delayed", "run_at", postgresql_where=text("state = 'delayed'")),
        Index("ix_jobs_running", "worker_id", postgresql_where=text("state = 'running'")),
        Index("ix_jobs_waiting_tenant_id", "tenant_id", postgresql_where=text("state IN ('delayed', 'ready')")),
        Index("ix_jobs_ended", "state", "id", postgresql_where=text("state IN ('dead', 'dropped')")),
        Index("uq_jobs_dedupe_key", "lane", "name", "dedupe_key", unique=True, postgresql_where=text(_UNFINISHED)),
        {"info": {"travels": False}},
    )

    tenant_id: Mapped[UUID | None]
    lane: Mapped[UUID] = mapped_column(Computed(f"coalesce(tenant_id, '{PLATFORM_LANE}'::uuid)", persisted=True))
    """Jobs of one lane run by priority, then in the order they became ready; lanes take turns."""
    name: Mapped[str]
    arguments: Mapped[Any] = mapped_column(JSONB)
    priority: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(BigInteger, server_default="0")
    max_attempts: Mapped[int] = mapped_column(BigInteger)
    times_put_off: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """How many calls met a database that was away, and were not counted as attempts."""
    run_at: Mapped[datetime]
    """When it was or will be ready."""
    dedupe_key: Mapped[str | None]
    periodic_task: Mapped[str | None]
    """The periodic task whose turn it is."""
    traceparent: Mapped[str | None]
    """Where it stands in the trace of who asked for it (W3C Trace Context)."""
    worker_id: Mapped[UUID | None]
    """Who runs it; with `attempts` the token without which nobody can end it."""
    error: Mapped[str | None]
    traceback: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None]


class JobWorker(Identified, PlatformModel):
    """A worker that lives, or did until `seen_at`."""

    __tablename__ = "job_workers"
    __table_args__ = ({"info": {"travels": False}},)

    host: Mapped[str]
    pid: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class PeriodicTask(Identified, PlatformModel):
    """A task that runs by the clock, when it was last due, and what came of it."""

    __tablename__ = "periodic_tasks"
    __table_args__ = (
        CheckConstraint("outcome IN ('succeeded', 'failed')", name="outcome"),
        {"info": {"travels": False}},
    )

    name: Mapped[str] = mapped_column(unique=True)
    cron: Mapped[str]
    due_at: Mapped[datetime]
    """The latest due time for which it was enqueued; for a new one, when it was made."""
    seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    """When a worker last said that it knows it, to an hour."""
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error: Mapped[str | None]
