"""Jobs of tenants that cannot be served now wait, and are not counted as tried."""

import dataclasses

import pytest

from leasehold.core.database import DriverConnection, platform_session
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.directory import TenantDirectory
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.factories import OPERATOR, lifecycle, until
from tests.integration.worker.crew import Title, all_done, ask, at_work, came_to, titles


@tenant_job("tests.write", max_attempts=1)
async def write(arguments: Title, session: TenantSession) -> None:
    await ItemService(session=session).add(ItemCreate(arguments.title))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look soon at what was put off, and at who was deleted."""
    monkeypatch.setattr("leasehold.worker.worker._NOT_NOW_S", 0.1)
    monkeypatch.setattr("leasehold.worker.worker._SWEEP_S", 0.1)


async def _change(process: Process, tenant: TenantRef, verb: str) -> None:
    """Do with a tenant what an admin does."""
    async with platform_session(process.database) as session:
        service = lifecycle(session)
        await getattr(service, verb)(tenant.id, by=OPERATOR)


async def test_jobs_of_a_suspended_tenant_wait_while_others_run_and_run_when_it_is_resumed(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    await _change(process, acme, "suspend")
    await ask(process, acme, write)
    async with at_work(process, write) as work:
        await ask(process, globex, write)
        (row,) = await came_to(owner, "ready")
        await until(lambda: work.count(write, "succeeded") == 1, timeout_s=10)
        assert (row["tenant_id"], row["attempts"]) == (acme.id, 0)
        await _change(process, acme, "resume")
        await all_done(owner)
    assert await titles(process, acme) == await titles(process, globex) == ["done"]


async def test_jobs_of_a_deleted_tenant_are_dropped_with_a_record(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await ask(process, acme, write)
    await _change(process, acme, "delete")
    async with at_work(process, write):
        (row,) = await came_to(owner, "dropped")
    assert (row["error"], row["attempts"]) == ("the tenant was deleted", 0)


@pytest.mark.parametrize(
    "unfit", [{"state": TenantState.SUSPENDED}, {"revision": "0000", "served_by": "0000"}], ids=["state", "revision"]
)
async def test_a_claimed_job_is_put_off_where_the_process_knows_that_the_tenant_cannot_be_served(
    process: Process, acme: TenantRef, owner: DriverConnection, unfit: dict[str, str]
) -> None:
    directory = TenantDirectory(max_age_s=3600)
    directory.confirm(float("inf"))
    directory.put(dataclasses.replace(acme, **unfit))
    async with at_work(dataclasses.replace(process, directory=directory), write) as work:
        await ask(process, acme, write)
        await until(lambda: work.count(write, "put_off") > 1, timeout_s=10)
        directory.put(acme)
        await all_done(owner)
        await work.ended()
        assert (work.count(write, "succeeded"), work.count(write, "dead")) == (1, 0)
    assert await titles(process, acme) == ["done"]


async def test_while_nobody_knows_how_the_tenants_are_their_jobs_are_put_off_and_those_of_the_platform_run(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    stale = TenantDirectory(max_age_s=3600)
    async with at_work(dataclasses.replace(process, directory=stale), write) as work:
        await ask(process, acme, write)
        await until(lambda: work.count(write, "put_off") > 1, timeout_s=10)
        stale.put(acme)
        stale.confirm(float("inf"))
        await all_done(owner)
    assert await titles(process, acme) == ["done"]
