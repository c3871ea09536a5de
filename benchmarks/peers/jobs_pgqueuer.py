"""pgqueuer's worker, bare: one entrypoint for all jobs, or one for each tenant with a limit of its own.

`sql` prints what it installs and how it enqueues, for who has no pgqueuer.
"""

import asyncio
import json
import os
import signal
import sys

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.peers.jobs_work import work


async def _serve(batch: int, tenants: int, *, is_bounded: bool) -> None:
    pool = await asyncpg.create_pool(os.environ["BENCH_DATABASE_URL"], min_size=batch, max_size=batch + 2)
    queuer = PgQueuer.from_asyncpg_pool(pool)

    async def run(job: Job) -> None:
        assert job.payload is not None
        await work(*json.loads(job.payload))

    if tenants:
        # As the worker of Leasehold does it: a place in four is kept for others.
        for tenant in range(tenants):
            queuer.entrypoint(f"tenant-{tenant}", concurrency_limit=batch - batch // 4)(run)
    else:
        queuer.entrypoint("work")(run)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queuer.shutdown.set)
    # The least that it takes: twice the batch.
    await queuer.run(batch_size=batch, max_concurrent_tasks=2 * batch if is_bounded else None)
    await pool.close()


def _sql() -> str:
    queries = Queries(None)  # type: ignore[arg-type]  # it is not connected
    return json.dumps({"install": queries.qbe.build_install_query(), "enqueue": queries.qbq.build_enqueue_query()})


if __name__ == "__main__":
    if sys.argv[1] == "sql":
        print(_sql())
    else:
        bounded, batch, tenants = sys.argv[1:]
        uvloop.run(_serve(int(batch), int(tenants), is_bounded=bounded == "bounded"))
