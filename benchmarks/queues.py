"""The queues that are compared: how each is installed, asked for jobs, and served by a worker of its own.

A job does the same everywhere: it may write down when it started, and wait. What is measured is the rest.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import asyncpg

from benchmarks.installation import clean_environment
from benchmarks.peers import BENCH_PYTHON, ROOT
from benchmarks.peers.jobs_work import UNSEEN
from leasehold.core.ids import new_id

_ENQUEUE = """
SELECT count(platform.enqueue_job(new.tenant, new.id, '{name}', new.arguments::jsonb, 0, 10, 0, NULL))
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS new (tenant, id, arguments)
"""
_BY_HAND = """
CREATE SCHEMA {schema};
CREATE TABLE {schema}.jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state text NOT NULL DEFAULT 'ready',
    tenant_schema text NOT NULL, tenant_role text NOT NULL, number bigint NOT NULL, ms bigint NOT NULL
);
CREATE INDEX ON {schema}.jobs (id) WHERE state = 'ready';
GRANT USAGE ON SCHEMA {schema} TO lh_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.jobs TO lh_app
"""
_ENQUEUE_BY_HAND = """
WITH new AS (
    INSERT INTO {schema}.jobs (tenant_schema, tenant_role, number, ms)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) RETURNING 1
)
SELECT pg_notify('{schema}', '') FROM (SELECT count(*) FROM new) counted
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose job it is."""

    number: int
    id: UUID
    schema: str
    role: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be asked for."""

    tenant: Tenant
    number: int = UNSEEN
    ms: int = 0


Columns = Callable[[Sequence[NewJob]], tuple[Sequence[object], ...]]


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue, and the worker that serves it; two may have the same worker."""

    name: str
    title: str
    worker: str
    command: Callable[[int, int], list[str]]
    """Takes the batch and the number of tenants."""
    schema: str
    table: str
    enqueue: str
    columns: Columns
    only: str = "true"
    """Which rows of the table are jobs of the benchmark."""
    waiting: str = "state = 'ready'"
    install: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    needs_environment: bool = False
    is_limit: bool = False
    """Whether it is there to show what the machine can do, and is no queue to use."""

    def prepared(self) -> "Queue":
        """Return the queue with SQL that only its own package knows."""
        if not self.needs_environment:
            return self
        command = [str(BENCH_PYTHON), "-m", "benchmarks.peers.jobs_pgqueuer", "sql"]
        environment = clean_environment() | dict(self.environment)
        sql = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE).stdout
        return replace(self, **json.loads(sql))

    async def ask(self, connection: "asyncpg.Connection[asyncpg.Record]", jobs: Sequence[NewJob]) -> None:
        """Ask for jobs, in the transaction of the connection."""
        await connection.fetch(self.enqueue, *self.columns(jobs))

    async def is_empty(self, connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
        """Tell whether every job was ticked off."""
        return not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {self.table} WHERE {self.only})")

    async def has_waiting(self, connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
        """Tell whether there is a job that nobody has begun."""
        condition = f"{self.only} AND {self.waiting}"
        return await connection.fetchval(f"SELECT EXISTS (SELECT FROM {self.table} WHERE {condition})")

    async def discard(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Throw away what nobody has begun."""
        await connection.execute(f"DELETE FROM {self.table} WHERE {self.only} AND {self.waiting}")


def leasehold(name: str, title: str) -> Queue:
    """Return our queue for one of the jobs in `jobs_leasehold`."""
    job = f"bench.{name}"
    return Queue(
        name=f"leasehold_{name}",
        title=title,
        worker="leasehold",
        command=lambda batch, _: [sys.executable, "-m", "benchmarks.peers.jobs_leasehold", f"--jobs={batch}"],
        schema="platform",
        table="platform.jobs",
        only=f"name = '{job}'",
        enqueue=_ENQUEUE.format(name=job),
        columns=lambda jobs: (
            [job.tenant.id for job in jobs],
            [new_id() for _ in jobs],
            [json.dumps({"number": job.number, "ms": job.ms}) for job in jobs],
        ),
    )


def by_hand(how: str, title: str) -> Queue:
    """Return one of the queues in `jobs_by_hand`."""
    schema = f"bench_{how}"
    return Queue(
        name=f"by_hand_{how}",
        title=title,
        worker=f"by_hand_{how}",
        command=lambda batch, _: [sys.executable, "-m", "benchmarks.peers.jobs_by_hand", how, schema, str(batch)],
        schema=schema,
        table=f"{schema}.jobs",
        install=_BY_HAND.format(schema=schema),
        enqueue=_ENQUEUE_BY_HAND.format(schema=schema),
        columns=lambda jobs: (
            [job.tenant.schema for job in jobs],
            [job.tenant.role for job in jobs],
            [job.number for job in jobs],
            [job.ms for job in jobs],
        ),
        is_limit=True,
    )


def pgqueuer(how: str, title: str) -> Queue:
    """Return pgqueuer's queue, with a worker that takes whatever there is, is bounded, or has a limit per tenant."""
    schema = f"bench_pgqueuer_{how}"
    environment = {"PGQUEUER_SCHEMA": schema, "PGQUEUER_CHANNEL": schema}
    has_lanes = how == "lanes"
    bounded = "bounded" if how != "greedy" else "greedy"
    return Queue(
        name=f"pgqueuer_{how}",
        title=title,
        worker=f"pgqueuer_{how}",
        command=lambda batch, tenants: [
            *(str(BENCH_PYTHON), "-m", "benchmarks.peers.jobs_pgqueuer"),
            *(bounded, str(batch), str(tenants if has_lanes else 0)),
        ],
        schema=schema,
        table=f"{schema}.pgqueuer",
        waiting="status = 'queued'",
        enqueue="",
        columns=lambda jobs: (
            [0] * len(jobs),
            [f"tenant-{job.tenant.number}" if has_lanes else "work" for job in jobs],
            [json.dumps([job.number, job.ms]).encode() for job in jobs],
            [timedelta(0)] * len(jobs),
            [None] * len(jobs),
            ["{}"] * len(jobs),
        ),
        environment=environment,
        needs_environment=True,
    )


QUEUES = (
    leasehold("session", "Leasehold, with a session"),
    leasehold("plain", "Leasehold, without a session"),
    pgqueuer("greedy", "pgqueuer, which takes all there is"),
    pgqueuer("bounded", "pgqueuer, bounded to two batches"),
    pgqueuer("lanes", "pgqueuer, bounded, an entrypoint with a limit for each tenant"),
    by_hand("bound", "by hand, a bound transaction for each job"),
    by_hand("plain", "by hand, ticked off by the batch"),
)
