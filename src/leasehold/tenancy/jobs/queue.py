"""The queue as a worker sees it. All times are the database's, so the clocks of workers need not agree.

A job that runs is its worker's by `worker_id` and `attempts`: whoever was taken for dead, and wakes up, ends nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.orm import Session

from leasehold.core.database import DriverConnection, PlatformSession
from leasehold.core.ids import new_id
from leasehold.tenancy.bind import RESET_ROLE, TenantSession
from leasehold.tenancy.jobs.definition import Periodic
from leasehold.tenancy.jobs.models import PLATFORM_LANE

LEASE_S = 30.0
"""A worker that was not seen for so many seconds is taken for dead, and its jobs go to others."""
_MOST_DROPPED = 20_000

_REGISTER = """
INSERT INTO platform.job_workers (id, host, pid, started_at, seen_at) VALUES ($1, $2, $3, now(), now())
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at
"""
_BEAT = "UPDATE platform.job_workers SET seen_at = now() WHERE id = $1"
_LEAVE = "DELETE FROM platform.job_workers WHERE id = $1"

# The lanes that have something ready, in turn, behind the one that was served last: each is found by one look into the
# index, so a lane costs the same with one job as with a million. Nobody gets all the places, or what came later would
# wait for the longest job of who came first.
_CLAIM = f"""
WITH RECURSIVE behind (lane) AS (
    (SELECT j.lane FROM platform.jobs j WHERE j.state = 'ready' AND j.lane > $2 ORDER BY j.lane LIMIT 1)
    UNION ALL
    SELECT later.lane FROM behind CROSS JOIN LATERAL (
        SELECT j.lane FROM platform.jobs j WHERE j.state = 'ready' AND j.lane > behind.lane ORDER BY j.lane LIMIT 1
    ) later
), before (lane) AS (
    (SELECT j.lane FROM platform.jobs j WHERE j.state = 'ready' AND j.lane <= $2 ORDER BY j.lane LIMIT 1)
    UNION ALL
    SELECT later.lane FROM before CROSS JOIN LATERAL (
        SELECT j.lane FROM platform.jobs j
         WHERE j.state = 'ready' AND j.lane > before.lane AND j.lane <= $2 ORDER BY j.lane LIMIT 1
    ) later
), turns AS (
    SELECT lanes.lane, $4 - running.jobs AS places
      FROM (SELECT lane FROM behind UNION ALL SELECT lane FROM before) lanes
     CROSS JOIN LATERAL (
        SELECT count(*) AS jobs FROM platform.jobs j
         WHERE j.state = 'running' AND j.worker_id = $1 AND j.lane = lanes.lane
     ) running
     WHERE running.jobs < $4
       AND (lanes.lane = '{PLATFORM_LANE}'
            OR EXISTS (SELECT FROM platform.tenants t WHERE t.id = lanes.lane AND t.state = 'active'))
     LIMIT $3
), chosen AS (
    SELECT next.id FROM turns CROSS JOIN LATERAL (
        SELECT j.id FROM platform.jobs j
         WHERE j.state = 'ready' AND j.lane = turns.lane
         ORDER BY j.priority DESC, j.run_at, j.id
         LIMIT least(turns.places, greatest(1, $3 / (SELECT count(*) FROM turns)))
           FOR UPDATE SKIP LOCKED
    ) next LIMIT $3
)
UPDATE platform.jobs j SET state = 'running', worker_id = $1, attempts = attempts + 1
  FROM chosen WHERE j.id = chosen.id AND EXISTS (SELECT FROM platform.job_workers WHERE id = $1)
RETURNING j.id, j.tenant_id, j.lane, j.name, j.arguments, j.attempts, j.max_attempts, j.times_put_off,
          j.traceparent, extract(epoch FROM clock_timestamp() - j.run_at)::float8 AS waited_s
"""
_FINISH = "SELECT platform.finish_job($1, $2, $3)"
_FINISH_IN = text("SELECT platform.finish_job(:job, :worker, :attempt)")
_FAIL = """
WITH failed AS (
    UPDATE platform.jobs
       SET worker_id = NULL, error = $4, traceback = $5,
           run_at = CASE WHEN $7 OR attempts >= max_attempts THEN run_at ELSE now() + make_interval(secs => $6) END,
           state = CASE WHEN $7 OR attempts >= max_attempts THEN 'dead' ELSE 'delayed' END,
           ended_at = CASE WHEN $7 OR attempts >= max_attempts THEN now() END
     WHERE id = $1 AND worker_id = $2 AND attempts = $3 AND state = 'running'
    RETURNING state, periodic_task
), noted AS (
    UPDATE platform.periodic_tasks SET outcome = 'failed', error = $4, ended_at = now()
      FROM failed WHERE name = failed.periodic_task
)
SELECT state FROM failed
"""
# What was claimed, and the answer lost: nobody runs it.
_LET_GO = """
UPDATE platform.jobs SET worker_id = NULL, attempts = attempts - 1, state = 'ready'
 WHERE worker_id = $1 AND state = 'running' AND id <> ALL($2)
"""
_HAND_BACK = """
UPDATE platform.jobs
   SET worker_id = NULL, attempts = attempts - 1, run_at = now() + make_interval(secs => $4),
       state = CASE WHEN $4 > 0 THEN 'delayed' ELSE 'ready' END
 WHERE id = $1 AND worker_id = $2 AND attempts = $3 AND state = 'running'
"""
_PUT_OFF = """
UPDATE platform.jobs
   SET worker_id = NULL, attempts = attempts - 1, times_put_off = times_put_off + 1,
       run_at = now() + make_interval(secs => $4), state = 'delayed'
 WHERE id = $1 AND worker_id = $2 AND attempts = $3 AND state = 'running'
"""
_PROMOTE = """
WITH due AS (
    UPDATE platform.jobs SET state = 'ready' WHERE id IN (
        SELECT id FROM platform.jobs WHERE state = 'delayed' AND run_at <= now()
         ORDER BY run_at LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) RETURNING 1
)
SELECT now() AS now, (SELECT count(*) FROM due) AS promoted
"""
# A clock that was set back must not keep the dead alive.
_BURY = """
DELETE FROM platform.job_workers
 WHERE seen_at NOT BETWEEN now() - make_interval(secs => $1) AND now() + make_interval(secs => $1)
"""
_TAKE_BACK = """
WITH taken AS (
    UPDATE platform.jobs j
       SET worker_id = NULL, error = 'the worker that ran it died', traceback = NULL, run_at = now(),
           state = CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'ready' END,
           ended_at = CASE WHEN attempts >= max_attempts THEN now() END
     WHERE state = 'running' AND NOT EXISTS (SELECT FROM platform.job_workers w WHERE w.id = j.worker_id)
    RETURNING j.error, j.periodic_task
), noted AS (
    UPDATE platform.periodic_tasks SET outcome = 'failed', error = taken.error, ended_at = now()
      FROM taken WHERE name = taken.periodic_task
)
SELECT count(*) FROM taken
"""
# Each tenant that has something waiting is found by one look into the index, as the lanes are: a sweep must not cost
# more because more jobs wait. And only so many are dropped at once: a statement that takes longer than the worker waits
# for it would never end.
_DROP_WITHOUT_FUTURE = """
WITH RECURSIVE waiting (tenant_id) AS (
    (SELECT j.tenant_id FROM platform.jobs j
      WHERE j.state IN ('delayed', 'ready') AND j.tenant_id IS NOT NULL ORDER BY j.tenant_id LIMIT 1)
    UNION ALL
    SELECT later.tenant_id FROM waiting CROSS JOIN LATERAL (
        SELECT j.tenant_id FROM platform.jobs j
         WHERE j.state IN ('delayed', 'ready') AND j.tenant_id > waiting.tenant_id ORDER BY j.tenant_id LIMIT 1
    ) later
), gone AS (
    SELECT waiting.tenant_id,
           CASE WHEN t.id IS NULL THEN 'nobody knows the tenant' ELSE 'the tenant was deleted' END AS why
      FROM waiting LEFT JOIN platform.tenants t ON t.id = waiting.tenant_id
     WHERE t.id IS NULL OR t.state IN ('deleted', 'purging', 'purged')
), chosen AS (
    SELECT hopeless.id, gone.why FROM gone CROSS JOIN LATERAL (
        SELECT j.id FROM platform.jobs j
         WHERE j.state IN ('delayed', 'ready') AND j.tenant_id = gone.tenant_id LIMIT $1 FOR UPDATE SKIP LOCKED
    ) hopeless LIMIT $1
)
UPDATE platform.jobs j SET state = 'dropped', error = chosen.why, ended_at = now() FROM chosen WHERE j.id = chosen.id
"""
_KNOW_TASK = """
INSERT INTO platform.periodic_tasks (id, name, cron, due_at) VALUES ($1, $2, $3, now())
ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, seen_at = now() RETURNING due_at
"""
_SEE_TASKS = """
UPDATE platform.periodic_tasks SET seen_at = now()
 WHERE name = ANY($1) AND seen_at NOT BETWEEN now() - interval '1 hour' AND now()
"""
# A worker of another release may know what this one does not, and says so every hour while it lives.
_FORGET_TASKS = "DELETE FROM platform.periodic_tasks WHERE name <> ALL($1) AND seen_at < now() - interval '1 day'"
_COUNT_TASKS = "SELECT count(*) FROM platform.periodic_tasks WHERE name = ANY($1)"
# A worker that stood still since it looked at the clock must not take what others did meanwhile for the future.
_SCHEDULE = """
WITH due AS (
    UPDATE platform.periodic_tasks SET due_at = $2
     WHERE name = $1 AND (due_at < $2 OR due_at > greatest($6, now())) RETURNING name
)
INSERT INTO platform.jobs (id, name, arguments, priority, max_attempts, state, run_at, dedupe_key, periodic_task)
SELECT $3, name, '{}', $4, $5, 'ready', now(), 'periodic', name FROM due
ON CONFLICT (lane, name, dedupe_key) WHERE dedupe_key IS NOT NULL AND state IN ('delayed', 'ready', 'running')
DO NOTHING RETURNING id
"""


class JobLost(RuntimeError):
    """The job belongs to another worker by now; nothing of this call stays."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that a worker is to run."""

    id: UUID
    worker_id: UUID
    tenant_id: UUID | None
    lane: UUID
    name: str
    arguments: bytes
    """JSON."""
    attempt: int
    """Counted from one."""
    max_attempts: int
    times_put_off: int
    """How many calls were not counted as attempts, because the database was away."""
    traceparent: str | None
    waited_s: float
    """Seconds from when it was ready until it was claimed."""


class JobQueue:
    """What a worker says to the queue, on one connection of the login of the app.

    Every method raises the driver's errors when the connection is lost; each may then be called again on another, but
    what `claim` may have claimed meanwhile must be let go.
    """

    def __init__(self, connection: DriverConnection, worker_id: UUID) -> None:
        self._connection = connection
        self._worker_id = worker_id

    async def register(self, *, host: str, pid: int) -> None:
        """Enter the worker among those that live."""
        await self._connection.execute(_REGISTER, self._worker_id, host, pid)

    async def beat(self) -> bool:
        """Say that the worker lives, and return False if it was taken for dead."""
        return await self._connection.execute(_BEAT, self._worker_id) == "UPDATE 1"

    async def leave(self) -> None:
        """Take the worker out of those that live."""
        await self._connection.execute(_LEAVE, self._worker_id)

    async def claim(self, *, behind: UUID, wanted: int, most_of_one: int) -> list[ClaimedJob]:
        """Take up to `wanted` ready jobs, lane by lane from the one behind, so that no lane has more than its share."""
        rows = await self._connection.fetch(_CLAIM, self._worker_id, behind, wanted, most_of_one)
        return [self._claimed(row) for row in rows]

    async def finish(self, job: ClaimedJob) -> None:
        """Tick a job off that succeeded.

        Raises:
            JobLost: it is another worker's by now.
        """
        if not await self._connection.fetchval(_FINISH, job.id, job.worker_id, job.attempt):
            raise JobLost

    async def fail(
        self, job: ClaimedJob, *, error: str, traceback: str, again_in_s: float, is_final: bool = False
    ) -> str | None:
        """Note that a job failed: it is tried again, or dead. Return which, None if it is another worker's by now."""
        arguments = (job.id, job.worker_id, job.attempt, error, traceback, again_in_s, is_final)
        return await self._connection.fetchval(_FAIL, *arguments)

    async def hand_back(self, job: ClaimedJob, *, in_s: float = 0.0) -> None:
        """Give a job back as if it had not been tried."""
        await self._connection.execute(_HAND_BACK, job.id, job.worker_id, job.attempt, in_s)

    async def put_off(self, job: ClaimedJob, *, in_s: float) -> None:
        """Give a job back whose call met a database that was away, and count that, but not as an attempt."""
        await self._connection.execute(_PUT_OFF, job.id, job.worker_id, job.attempt, in_s)

    async def let_go(self, *, but: list[UUID]) -> None:
        """Give back all jobs of this worker but those that it knows of."""
        await self._connection.execute(_LET_GO, self._worker_id, but)

    async def promote(self) -> datetime:
        """Make what is due ready, and return the database's time."""
        row: Any = await self._connection.fetchrow(_PROMOTE)
        return row["now"]

    async def sweep(self) -> int:
        """Take back the jobs of workers that died, and return how many; drop those of tenants that are no more."""
        await self._connection.execute(_BURY, LEASE_S)
        taken: int = await self._connection.fetchval(_TAKE_BACK)
        await self._connection.execute(_DROP_WITHOUT_FUTURE, _MOST_DROPPED)
        return taken

    async def know_tasks(self, tasks: Sequence[Periodic]) -> dict[str, datetime]:
        """Enter periodic tasks, and return for each when it was last due."""
        return {
            task.job.name: await self._connection.fetchval(_KNOW_TASK, new_id(), task.job.name, task.cron)
            for task in tasks
        }

    async def keep_tasks(self, tasks: Sequence[Periodic]) -> bool:
        """Say that these tasks are known, and forget those that nobody has known for a day.

        Return False if one of these was forgotten meanwhile: a clock that jumps a day ahead can do that.
        """
        names = [task.job.name for task in tasks]
        await self._connection.execute(_SEE_TASKS, names)
        await self._connection.execute(_FORGET_TASKS, names)
        return await self._connection.fetchval(_COUNT_TASKS, names) == len(names)

    async def schedule(self, task: Periodic, due_at: datetime) -> bool:
        """Enqueue a periodic task for one due time; return False if a worker has done so, or if it still runs.

        What was enqueued for a time that lies behind the next but one is forgotten: the clock was wrong.
        """
        job = task.job
        arguments = (job.name, due_at, new_id(), job.priority, job.max_attempts, task.next_but_one(due_at))
        return await self._connection.fetchval(_SCHEDULE, *arguments) is not None

    def _claimed(self, row: asyncpg.Record) -> ClaimedJob:
        return ClaimedJob(
            id=row["id"],
            worker_id=self._worker_id,
            tenant_id=row["tenant_id"],
            lane=row["lane"],
            name=row["name"],
            arguments=row["arguments"].encode(),
            attempt=row["attempts"],
            max_attempts=row["max_attempts"],
            times_put_off=row["times_put_off"],
            traceparent=row["traceparent"],
            waited_s=row["waited_s"],
        )


async def finish_in(session: TenantSession | PlatformSession, job: ClaimedJob) -> None:
    """Tick a job off in the transaction that did its work: both are committed, or neither.

    Raises:
        JobLost: it is another worker's by now, and the transaction must not be committed.
    """
    has_role = isinstance(session, TenantSession) and session.has_role
    if not await session.run_sync(_finish, job, has_role=has_role):
        raise JobLost


def _finish(session: Session, job: ClaimedJob, *, has_role: bool) -> bool:
    """Say the last words in one go: each call into SQLAlchemy's synchronous half costs as much as a small query."""
    session.flush()
    if has_role:
        session.execute(RESET_ROLE)
    return bool(session.scalar(_FINISH_IN, {"job": job.id, "worker": job.worker_id, "attempt": job.attempt}))
