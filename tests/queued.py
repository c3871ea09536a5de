"""Jobs that stand in the queue in whatever state, put there without those who would bring them into it."""

import json
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id

SECRET = "a text that only its reader may see"
_INSERT = """
INSERT INTO platform.jobs (id, tenant_id, name, arguments, priority, state, attempts, max_attempts, run_at, dedupe_key,
                           error, traceback, created_at, ended_at)
VALUES (%(id)s, %(tenant_id)s, %(name)s, %(arguments)s, %(priority)s, %(state)s, %(attempts)s, %(max_attempts)s,
        now() - interval '1 hour', %(dedupe_key)s, %(error)s, %(traceback)s, now() - interval '1 day',
        CASE WHEN %(state)s IN ('dead', 'dropped') THEN now() - interval '1 hour' END)
"""
_ROW = """
SELECT state, attempts, times_put_off, dedupe_key, error, traceback, ended_at, worker_id,
       run_at BETWEEN now() - interval '1 minute' AND now() AS is_due_now FROM platform.jobs WHERE id = %s
"""


def queued(url: str, tenant_id: UUID | str | None, state: str, **columns: Any) -> str:
    """Put a job of a tenant or of the platform into the queue, and return its id."""
    row = {
        "id": new_id(),
        "tenant_id": tenant_id,
        "name": "tests.fail",
        "arguments": json.dumps({"text": SECRET}),
        "priority": 0,
        "state": state,
        "attempts": 0,
        "max_attempts": 3,
        "dedupe_key": None,
        "error": None,
        "traceback": None,
    }
    with psycopg.connect(url) as connection:
        connection.execute(_INSERT, row | columns)
    return str((row | columns)["id"])


async def empty_queue(owner: DriverConnection) -> None:
    """Forget all jobs, workers and periodic tasks.

    What other tests have asked for, nobody here would do, or a worker would do it first; and a worker that was killed
    is listed for a while.
    """
    for table in ("jobs", "job_workers", "periodic_tasks"):
        await owner.execute(f"DELETE FROM platform.{table}")


def row_of(url: str, job_id: str) -> dict[str, Any] | None:
    """Return what stands in the queue of a job, None if it is gone."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(_ROW, [job_id]).fetchone()
