"""A function that is called once for every tenant: bound to it, committed with the note that it was, and resumable."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.calls import FleetCall, TenantCall
from leasehold.tenancy.fleet.lease import LeaseLost, RunnerBusy
from leasehold.tenancy.fleet.plan import UnknownTenantSlug
from leasehold.tenancy.fleet.run import RunSummary
from tests.factories import OPERATOR, parts_of
from tests.fleets import ADD_COLUMN, add, provision, run

_INSERT = text("INSERT INTO items (id, title, created_at, updated_at) VALUES (gen_random_uuid(), :title, now(), now())")


@pytest.fixture
async def process(own: Settings) -> AsyncGenerator[Process]:
    async with parts_of(own) as made:
        yield made


async def _call(own: Settings, process: Process, function: TenantCall, **options: Any) -> RunSummary:
    assert own.owner_url is not None
    return await FleetCall(
        owner_url=own.owner_url.get_secret_value(),
        by=OPERATOR,
        database=process.database,
        window=process.window,
        name="work:greet",
        function=function,
        **{"jobs": 2, **options},
    ).run()


async def _greet(session: TenantSession, tenant: TenantRef) -> None:
    await session.execute(_INSERT, {"title": f"hello {tenant.slug}"})


async def _titles(owner: Any, tenants: list[TenantRef]) -> list[list[str]]:
    return [
        [row["title"] for row in await owner.fetch(f'SELECT title FROM "{tenant.schema}".items')] for tenant in tenants
    ]


async def test_each_call_works_in_the_schema_of_its_tenant(own: Settings, owner: Any, process: Process) -> None:
    tenants = await provision(own, 3)
    summary = await _call(own, process, _greet)
    assert (summary.outcome, summary.kind, summary.target) == ("succeeded", "call", "work:greet")
    assert await _titles(owner, tenants) == [[f"hello {tenant.slug}"] for tenant in tenants]
    rows = await owner.fetch("SELECT tenant_id, target, error FROM platform.fleet_results ORDER BY tenant_id")
    assert [tuple(row) for row in rows] == [(tenant.id, "work:greet", None) for tenant in tenants]


async def test_a_call_cannot_reach_another_tenant(own: Settings, owner: Any, process: Process) -> None:
    mine, other = await provision(own, 2)

    async def reach(session: TenantSession, _tenant: TenantRef) -> None:
        await session.execute(text(f'SELECT * FROM "{other.schema}".items'))

    summary = await _call(own, process, reach, only=(mine.slug,))
    (failed,) = summary.failed
    assert "permission denied" in str(failed.error)


async def test_what_failed_is_rolled_back_and_called_again_and_nothing_else_is(
    own: Settings, owner: Any, process: Process
) -> None:
    tenants = await provision(own, 4)
    broken = {tenants[1].id}

    async def fragile(session: TenantSession, tenant: TenantRef) -> None:
        await _greet(session, tenant)
        if tenant.id in broken:
            raise LookupError("not this one")

    first = await _call(own, process, fragile)
    assert (first.outcome, [result.slug for result in first.failed]) == ("failed", [tenants[1].slug])
    assert str(first.failed[0].error) == "LookupError: not this one"
    assert [len(titles) for titles in await _titles(owner, tenants)] == [1, 0, 1, 1]
    broken.clear()
    second = await _call(own, process, fragile)
    assert [result.slug for result in second.results] == [tenants[1].slug]
    assert [len(titles) for titles in await _titles(owner, tenants)] == [1, 1, 1, 1]
    # It has reached its end, so the next one is a new one.
    assert len((await _call(own, process, fragile)).results) == 4
    assert [len(titles) for titles in await _titles(owner, tenants)] == [2, 2, 2, 2]


async def test_an_unfinished_run_can_be_made_anew(own: Settings, owner: Any, process: Process) -> None:
    tenants = await provision(own, 2)

    async def fragile(session: TenantSession, tenant: TenantRef) -> None:
        await _greet(session, tenant)
        if tenant.id == tenants[1].id:
            raise LookupError

    await _call(own, process, fragile)
    assert len((await _call(own, process, fragile, anew=True)).results) == 2
    assert [len(titles) for titles in await _titles(owner, tenants)] == [2, 0]


async def test_a_run_stops_when_too_many_have_failed(own: Settings, process: Process) -> None:
    await provision(own, 5)

    async def fail(_session: TenantSession, _tenant: TenantRef) -> None:
        raise LookupError

    summary = await _call(own, process, fail, jobs=1, max_failures=2)
    assert (summary.outcome, summary.stopped, len(summary.results)) == ("stopped", "2 tenants failed", 2)


async def test_a_tenant_that_this_code_cannot_serve_is_not_called(own: Settings, process: Process) -> None:
    tenants = await provision(own, 2)
    add(own, "0002_colour", ADD_COLUMN.replace('"0001"\n', '"0001"\nserved_by = "0002"\n', 1))
    await run(own, only=(tenants[0].slug,))
    summary = await _call(own, process, _greet)
    (failed,) = summary.failed
    assert (failed.slug, str(failed.error).partition(":")[0]) == (tenants[0].slug, "TenantNotMigrated")


async def test_two_runs_of_the_same_function_exclude_each_other(own: Settings, process: Process) -> None:
    await provision(own, 1)
    inside, leave = asyncio.Event(), asyncio.Event()

    async def wait(_session: TenantSession, _tenant: TenantRef) -> None:
        inside.set()
        await leave.wait()

    first = asyncio.create_task(_call(own, process, wait))
    await asyncio.wait_for(inside.wait(), 60)
    with pytest.raises(RunnerBusy, match=r"Another run is under way: on .*, process "):
        await _call(own, process, wait)
    leave.set()
    assert (await first).outcome == "succeeded"


async def test_a_call_whose_run_was_taken_over_changes_nothing(own: Settings, owner: Any, process: Process) -> None:
    tenants = await provision(own, 1)

    async def lose(session: TenantSession, tenant: TenantRef) -> None:
        await _greet(session, tenant)
        await owner.execute("UPDATE platform.fleet_leases SET run_id = gen_random_uuid()")

    with pytest.raises(LeaseLost):
        await _call(own, process, lose)
    assert await _titles(owner, tenants) == [[]]


async def test_an_unknown_tenant_is_refused(own: Settings, process: Process) -> None:
    with pytest.raises(UnknownTenantSlug):
        await _call(own, process, _greet, only=("nobody",))


async def test_a_tenant_that_is_purged_while_others_are_called_for_is_skipped(
    own: Settings, owner: Any, process: Process
) -> None:
    first, purged, last = await provision(own, 3)

    async def greet(session: TenantSession, tenant: TenantRef) -> None:
        if tenant.id == first.id:
            await owner.execute("UPDATE platform.tenants SET state = 'purging' WHERE id = $1", purged.id)
            await owner.execute(f'DROP TABLE "{purged.schema}".items')
        await _greet(session, tenant)

    summary = await _call(own, process, greet, jobs=1, max_failures=1)
    assert (summary.outcome, summary.skipped) == ("succeeded", (purged.slug,))
    assert await _titles(owner, [first, last]) == [[f"hello {first.slug}"], [f"hello {last.slug}"]]
