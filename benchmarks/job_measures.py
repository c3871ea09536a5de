"""What is measured of a queue: how many jobs a second, how soon one starts, whether a tenant waits for another."""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from benchmarks.installation import Installation
from benchmarks.job_workers import NotWorking, Worker
from benchmarks.machine import cpu_seconds, family
from benchmarks.queues import NewJob, Queue, Tenant

_LOOK_EVERY_S = 0.02
_WITHIN_S = 300.0
_ALREADY_BUSY_S = 0.5
_BETWEEN_PROBES_S = 0.05
_JOB_MS = 1


@dataclass(frozen=True, slots=True)
class Rate:
    """Jobs that do nothing: how many a second, and the CPU time of both sides for each, in microseconds."""

    per_second: float
    own_us: float
    postgres_us: float


@dataclass(frozen=True, slots=True)
class Latency:
    """From when COMMIT was sent until a job started, in milliseconds."""

    p50_ms: float
    p99_ms: float


@dataclass(slots=True)
class Bench:
    """One queue with its worker, and a connection that asks for jobs."""

    queue: Queue
    worker: Worker
    connection: "asyncpg.Connection[asyncpg.Record]"
    """Of the owner, who may also look and tidy up."""
    installed: Installation
    tenants: Sequence[Tenant]
    next_number: int = 0

    async def ready(self) -> None:
        """Return when the worker has run a job.

        Raises:
            NotWorking: it has ended, or runs none.
        """
        await self._started([await self._commit([self._numbered(self.tenants[0])])])

    async def rate(self, jobs: int) -> Rate:
        """Let jobs that do nothing appear in one transaction, spread over all tenants, and wait until none is left."""
        await self._tidy()
        new = [NewJob(self.tenants[number % len(self.tenants)]) for number in range(jobs)]
        transaction = self.connection.transaction()
        await transaction.start()
        await self.queue.ask(self.connection, new)
        before, started = self._cpu(), time.perf_counter()
        await transaction.commit()
        await self._empty()
        seconds = time.perf_counter() - started
        own_us, postgres_us = ((then - now) / jobs * 1e6 for now, then in zip(before, self._cpu(), strict=True))
        return Rate(jobs / seconds, own_us, postgres_us)

    async def latency(self, samples: int, *, per_second: float | None) -> Latency:
        """Ask for one job after another, at a rate or, without one, at moments when there is nothing else to do."""
        await self._tidy()
        chance, due = random.Random(1), time.perf_counter()
        sent: list[tuple[int, int]] = []
        for _ in range(samples):
            due = due + 1 / per_second if per_second else time.perf_counter() + chance.uniform(0.02, 0.06)
            await asyncio.sleep(max(0, due - time.perf_counter()))
            sent.append(await self._commit([self._numbered(chance.choice(self.tenants))]))
        waited = await self._started(sent)
        return Latency(statistics.median(waited), statistics.quantiles(waited, n=100, method="inclusive")[98])

    async def wait_beside(self, backlog: int, probes: int) -> list[float]:
        """Let one tenant have a backlog, and return how long jobs of others wait, in milliseconds, one after another.

        There are fewer than `probes` where all of the backlog has begun before.
        """
        await self._tidy()
        await self._commit([NewJob(self.tenants[0], ms=_JOB_MS) for _ in range(backlog)])
        await asyncio.sleep(_ALREADY_BUSY_S)
        waited: list[float] = []
        for number in range(probes):
            if not await self.queue.has_waiting(self.connection):
                break
            tenant = self.tenants[1 + number % (len(self.tenants) - 1)]
            waited += await self._started([await self._commit([self._numbered(tenant)])])
            await asyncio.sleep(_BETWEEN_PROBES_S)
        await self.queue.discard(self.connection)
        await self._empty()
        return waited

    def _numbered(self, tenant: Tenant) -> NewJob:
        self.next_number += 1
        return NewJob(tenant, self.next_number)

    async def _commit(self, jobs: Sequence[NewJob]) -> tuple[int, int]:
        """Ask for jobs, and return the number of the last one with the time when COMMIT was sent."""
        transaction = self.connection.transaction()
        await transaction.start()
        await self.queue.ask(self.connection, jobs)
        sent_at = time.monotonic_ns()
        await transaction.commit()
        return jobs[-1].number, sent_at

    async def _started(self, sent: Sequence[tuple[int, int]]) -> list[float]:
        """Wait until jobs have started, and return how long each has waited, in milliseconds."""
        deadline = time.monotonic() + _WITHIN_S
        missing = {number for number, _ in sent}
        while missing - (started := self.worker.started_at()).keys():
            self._demand_in_time(deadline)
            await asyncio.sleep(_LOOK_EVERY_S)
        return [(started[number] - sent_at) / 1e6 for number, sent_at in sent]

    async def _empty(self) -> None:
        deadline = time.monotonic() + _WITHIN_S
        while not await self.queue.is_empty(self.connection):
            self._demand_in_time(deadline)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _cpu(self) -> tuple[float, float]:
        return cpu_seconds(self.worker.pids), cpu_seconds(family(self.installed.postmaster))

    def _demand_in_time(self, deadline: float) -> None:
        self.worker.demand_alive()
        if time.monotonic() > deadline:
            raise NotWorking(self.worker.name, self.worker.log)

    async def _tidy(self) -> None:
        """Do what autovacuum would, which is off: none shall find what another one left."""
        await self.connection.execute(f"VACUUM (ANALYZE) {self.queue.table}")
        self.worker.stamps.write_bytes(b"")


@asynccontextmanager
async def owner_of(installed: Installation) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
    """Lend a connection of the owner."""
    connection = await asyncpg.connect(installed.owner_url)
    try:
        yield connection
    finally:
        await connection.close()
