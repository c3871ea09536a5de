"""Jobs that run inside a server: what its requests are held to is not held against them."""

import dataclasses

import pytest
from msgspec import Struct
from sqlalchemy import func, select

from leasehold.config import Settings
from leasehold.core.budget import worker_budget
from leasehold.core.database import DriverConnection
from leasehold.core.places import Places
from leasehold.core.reads import Read
from leasehold.main import build_process, running
from leasehold.process import Process
from leasehold.tenancy.bind import OpenSession, TenantReader, TenantSession, open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.factories import until
from tests.integration.worker.crew import Title, all_done, ask, at_work, titles

_TIME = select(func.current_setting("statement_timeout").label("allowed"))


class Time(Struct):
    """How long a statement may take."""

    allowed: str


@tenant_job("tests.write", max_attempts=1)
async def write(arguments: Title, session: TenantSession) -> None:
    await ItemService(session=session).add(ItemCreate(arguments.title))


async def test_a_job_of_a_tenant_that_asks_for_too_much_at_once_is_put_off_and_not_counted_as_tried(
    process: Process, acme: TenantRef, owner: DriverConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leasehold.worker.worker._NOT_NOW_S", 0.1)
    places = Places(2, share=1, timeout_s=0.05)
    busy = dataclasses.replace(process, database=dataclasses.replace(process.database, places=places))
    await ask(process, acme, write)
    async with at_work(busy, write) as work:
        async with open_tenant_session(busy.database, acme):
            await until(lambda: work.count(write, "put_off") > 0, timeout_s=10)
        await all_done(owner)
    assert await titles(process, acme) == ["done"]


async def test_statements_of_a_job_may_take_as_long_as_they_do(
    settings: Settings, acme: TenantRef, owner: DriverConnection
) -> None:
    allowed: set[str | None] = set()

    @tenant_job("tests.look")
    async def look(_arguments: Title, open_session: OpenSession, reader: TenantReader) -> None:
        async with open_session() as session:
            allowed.add(await session.scalar(_TIME))
        found = await reader.one(Read(_TIME, Time))
        allowed.add(found and found.allowed)

    @tenant_job("tests.look_in_its_own_transaction")
    async def look_in_its_own(_arguments: Title, session: TenantSession) -> None:
        allowed.add(await session.scalar(_TIME))

    server = build_process(settings, budget=worker_budget(jobs=2), statement_ms=20_000)
    async with running(server):
        async with open_tenant_session(server.database, acme) as session:
            assert await session.scalar(_TIME) == "20s"
        for job in (look, look_in_its_own):
            await ask(server, acme, job)
        async with at_work(server, look, look_in_its_own):
            await all_done(owner)
    assert allowed == {"0"}
