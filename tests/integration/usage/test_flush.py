"""What processes have counted adds up in the database: once, whoever writes at the same time and whatever fails."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec import Struct
from sqlalchemy import Text, cast, func, select

from leasehold.config import Settings
from leasehold.core.database import Database, DriverConnection
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.ids import new_id
from leasehold.core.reads import Read
from leasehold.core.usage import UsageBatch, UsageMeter
from leasehold.main import flushing
from leasehold.platform.usage.flush import flush_usage
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session, tenant_reader
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.items.models import Item
from tests.factories import parts_of, until

_REQUESTS = """
SELECT coalesce(sum(requests), 0)::int, coalesce(sum(sent_bytes), 0)::int
  FROM platform.tenant_usage WHERE tenant_id = $1
"""


class Slept(Struct):
    """That the database has slept."""

    slept: str


SLEEP = Read(select(cast(func.pg_sleep(0.1), Text).label("slept")), Slept)


async def written(owner: DriverConnection, tenant_id: UUID) -> tuple[int, int]:
    """Return the requests of a tenant and the bytes that it was sent."""
    row = await owner.fetchrow(_REQUESTS, tenant_id)
    assert row is not None
    return tuple(row)


def count(meter: UsageMeter, tenant_id: UUID, times: int = 1) -> None:
    for _ in range(times):
        meter.count_request(tenant_id, status=200, received_bytes=0, sent_bytes=7)


async def test_what_is_flushed_is_added_to_the_hour(process: Process, owner: DriverConnection) -> None:
    meter, tenant_id = UsageMeter(), new_id()
    meter.count_request(tenant_id, status=404, received_bytes=3, sent_bytes=5)
    meter.count_request(tenant_id, status=500, received_bytes=30, sent_bytes=50)
    meter.count_transaction(tenant_id, 1.25)
    began = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await flush_usage(meter, process.database)
    count(meter, tenant_id)
    await flush_usage(meter, process.database)
    rows = await owner.fetch("SELECT * FROM platform.tenant_usage WHERE tenant_id = $1", tenant_id)
    assert began <= rows[0]["starts_at"] <= datetime.now(UTC)
    assert (rows[0]["starts_at"].minute, rows[0]["starts_at"].second) == (0, 0)
    sums = [
        sum(row[name] for row in rows)
        for name in ("requests", "refused", "errors", "database_us", "received_bytes", "sent_bytes")
    ]
    assert sums == [3, 1, 1, 1_250_000, 33, 62]


async def test_a_flush_that_fails_keeps_its_numbers(process: Process, owner: DriverConnection) -> None:
    nowhere = type(process.settings.database_url)("postgresql://x@127.0.0.1:1/x")
    meter, tenant_id = UsageMeter(), new_id()
    async with parts_of(process.settings.model_copy(update={"database_url": nowhere})) as away:
        for _ in range(3):
            count(meter, tenant_id)
            with pytest.raises(DatabaseUnavailable):
                await flush_usage(meter, away.database)
    await flush_usage(meter, process.database)
    assert await written(owner, tenant_id) == (3, 21)
    await flush_usage(meter, process.database)
    assert await written(owner, tenant_id) == (3, 21)


async def test_what_was_written_is_not_written_again_where_the_answer_was_lost(
    process: Process, owner: DriverConnection
) -> None:
    class Deaf(UsageMeter):
        hears = False

        def written(self, batch: UsageBatch) -> None:
            if not self.hears:
                raise OSError("the cable is cut")
            super().written(batch)

    meter, tenant_id = Deaf(), new_id()
    for _ in range(2):
        count(meter, tenant_id, 5)
        with pytest.raises(OSError, match="the cable is cut"):
            await flush_usage(meter, process.database)
        assert await written(owner, tenant_id) == (5, 35)
    meter.hears = True
    await flush_usage(meter, process.database)
    assert await written(owner, tenant_id) == (10, 70)


async def test_a_flush_that_is_cancelled_anywhere_loses_nothing_and_counts_nothing_twice(
    process: Process, owner: DriverConnection
) -> None:
    meter, tenant_id = UsageMeter(), new_id()
    for number in range(60):
        count(meter, tenant_id)
        try:
            async with asyncio.timeout(number / 20_000):
                await flush_usage(meter, process.database)
        except (TimeoutError, DatabaseUnavailable):
            pass
    await flush_usage(meter, process.database)
    assert await written(owner, tenant_id) == (60, 420)


async def test_processes_that_flush_at_the_same_time_add_up(settings: Settings, owner: DriverConnection) -> None:
    """Eight meters with connections of their own count 100 tenants each, in different orders, twenty times over."""
    tenants = [new_id() for _ in range(100)]

    async def work(database: Database, seed: int) -> None:
        meter, orders = UsageMeter(), random.Random(seed)
        for _ in range(20):
            for tenant_id in orders.sample(tenants, len(tenants)):
                count(meter, tenant_id)
            await flush_usage(meter, database)

    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(parts_of(settings)) for _ in range(8)]
        await asyncio.gather(*(work(process.database, seed) for seed, process in enumerate(processes)))
    assert {await written(owner, tenant_id) for tenant_id in tenants} == {(160, 1120)}


@pytest.fixture
async def own(process: Process) -> AsyncGenerator[Process]:
    """A process whose meter nobody else uses."""
    async with parts_of(process.settings) as made:
        yield made


def seconds_of(process: Process) -> dict[UUID, float]:
    """Return the database time that was counted since the last time, by tenant."""
    process.usage.gather(datetime.now(UTC))
    batch = process.usage.batch()
    if batch is None:
        return {}
    process.usage.written(batch)
    assert [hour.counts.requests for hour in batch.hours] == [0] * len(batch.hours)
    return {hour.tenant_id: hour.counts.database_s for hour in batch.hours}


async def test_the_time_of_a_transaction_is_counted_from_its_begin_to_its_end(
    own: Process, acme: TenantRef, globex: TenantRef
) -> None:
    async with open_tenant_session(own.database, globex):
        await asyncio.sleep(0.01)  # nothing was begun
    async with open_tenant_session(own.database, acme) as session:
        async with session.begin_nested():
            session.add(Item(title="Desk"))
        session.add(Item(title="Lamp"))
        await session.flush()
        await asyncio.sleep(0.4)
    seconds = seconds_of(own)
    assert list(seconds) == [acme.id]
    assert 0.4 <= seconds[acme.id] < 60


async def test_the_time_of_a_transaction_that_fails_is_counted_too(own: Process, acme: TenantRef) -> None:
    async def fail() -> None:
        async with open_tenant_session(own.database, acme) as session:
            await session.connection()
            await asyncio.sleep(0.2)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert 0.2 <= seconds_of(own)[acme.id] < 60


async def test_the_time_of_reads_is_counted_and_waiting_for_a_connection_is_not(
    own: Process, acme: TenantRef, globex: TenantRef
) -> None:
    held = [await own.readers.acquire(acme.id) for _ in range(own.readers.size)]
    waiting = [asyncio.create_task(tenant_reader(own.readers, globex).one(SLEEP)) for _ in range(2)]
    await asyncio.sleep(0.6)
    released_at = time.monotonic()
    for connection in held:
        own.readers.release(connection)
    await asyncio.gather(*waiting)
    both_s = 2 * (time.monotonic() - released_at)
    seconds = seconds_of(own)
    assert list(seconds) == [globex.id]
    assert 0.2 <= seconds[globex.id] <= both_s


async def test_a_process_flushes_at_its_end(own: Process, owner: DriverConnection) -> None:
    tenant_id = new_id()
    async with flushing(own):
        count(own.usage, tenant_id, 2)
        assert await written(owner, tenant_id) == (0, 0)
    assert await written(owner, tenant_id) == (2, 14)


async def test_a_process_goes_on_flushing_whatever_has_failed_once(
    own: Process, owner: DriverConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = new_id()
    hasty = replace(own, settings=own.settings.model_copy(update={"flush_s": 0.02}))
    tried: list[None] = []

    async def fail(_database: Database) -> None:
        tried.append(None)
        raise LookupError("whatever")

    monkeypatch.setattr(own.client_uses, "flush", fail)
    async with flushing(hasty):
        await until(lambda: len(tried) >= 3)
        count(own.usage, tenant_id)
        async with asyncio.timeout(60):
            while await written(owner, tenant_id) != (1, 7):
                await asyncio.sleep(0.02)
