"""The least that a queue can be: one table, SKIP LOCKED, NOTIFY. No retries, no leases, no fairness.

`plain` ticks jobs off a batch at a time: the limit of the machine. `bound` runs each in a transaction that is bound to
its tenant and ticks it off: the limit with Leasehold's isolation, and with effects that happen once.
"""

import asyncio
import os
import signal
import sys

import asyncpg
import uvloop

from benchmarks.peers.jobs_work import work

CLAIM = """
UPDATE {schema}.jobs j SET state = 'running' FROM (
    SELECT id FROM {schema}.jobs WHERE state = 'ready' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
) next WHERE j.id = next.id RETURNING j.id, j.tenant_schema, j.tenant_role, j.number, j.ms
"""


async def _plain(schema: str, batch: int) -> None:
    connection, news = await _connected(schema)
    while True:
        news.clear()
        while rows := await connection.fetch(CLAIM.format(schema=schema), batch):
            await asyncio.gather(*(work(row["number"], row["ms"]) for row in rows))
            await connection.execute(f"DELETE FROM {schema}.jobs WHERE id = ANY($1)", [row["id"] for row in rows])
        await news.wait()


async def _bound(schema: str, batch: int) -> None:
    connection, news = await _connected(schema)
    claimed: asyncio.Queue[asyncpg.Record] = asyncio.Queue(batch)

    async def run() -> None:
        own = await asyncpg.connect(os.environ["BENCH_DATABASE_URL"])
        while True:
            row = await claimed.get()
            bound = f'SET LOCAL search_path = "{row["tenant_schema"]}", pg_temp; SET LOCAL ROLE "{row["tenant_role"]}"'
            await own.execute(f"BEGIN; {bound}")
            await work(row["number"], row["ms"])
            await own.execute(f"RESET ROLE; DELETE FROM {schema}.jobs WHERE id = {row['id']}; COMMIT")

    async with asyncio.TaskGroup() as group:
        for _ in range(batch):
            group.create_task(run())
        while True:
            news.clear()
            while rows := await connection.fetch(CLAIM.format(schema=schema), batch):
                for row in rows:
                    await claimed.put(row)
            await news.wait()


async def _connected(schema: str) -> tuple["asyncpg.Connection[asyncpg.Record]", asyncio.Event]:
    connection = await asyncpg.connect(os.environ["BENCH_DATABASE_URL"])
    news = asyncio.Event()
    await connection.add_listener(schema, lambda *_: news.set())
    return connection, news


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    how, schema, batch = sys.argv[1:]
    uvloop.run({"plain": _plain, "bound": _bound}[how](schema, int(batch)))
