"""Jobs that fail, whatever the way, are tried again and then dead, and the worker lives on."""

import asyncio
from typing import Any

import pytest
from msgspec import Struct

from leasehold.core.database import DriverConnection, PlatformSession, platform_session
from leasehold.mail.folder import LogMailer
from leasehold.process import Process
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import BadJob, GivenUp, NoArguments, by_name, platform_job, tenant_job
from leasehold.tenancy.jobs.enqueue import enqueue_for
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.worker.calling import Caller
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.integration.worker.crew import Title, all_done, ask, at_work, came_to, titles

pytestmark = pytest.mark.usefixtures("at_once")

_ENQUEUE = "SELECT platform.enqueue_job($1, gen_random_uuid(), $2, $3, 0, 1, 0, NULL)"


@tenant_job("tests.write", max_attempts=1)
async def write(arguments: Title, session: TenantSession) -> None:
    await ItemService(session=session).add(ItemCreate(arguments.title))


@platform_job("tests.make_workers", max_attempts=1)
async def make_workers(_arguments: NoArguments, session: PlatformSession) -> None:
    raise AssertionError("nobody may call it")


async def test_an_attempt_counts_and_the_last_error_stays_with_its_traceback(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    attempts: list[int] = []

    @tenant_job("tests.fail", max_attempts=3)
    async def fail(_arguments: Title, job: ClaimedJob) -> None:
        attempts.append(job.attempt)
        raise LookupError(f"attempt {job.attempt}")

    await ask(process, acme, fail)
    async with at_work(process, fail) as work:
        (row,) = await came_to(owner, "dead")
        await work.ended()
        assert (work.count(fail, "failed"), work.count(fail, "dead")) == (2, 1)
    assert attempts == [1, 2, 3]
    assert row["error"] == "LookupError: attempt 3"
    assert row["traceback"].startswith("Traceback (most recent call last):")
    assert "test_failures.py" in row["traceback"]
    assert row["traceback"].endswith("LookupError: attempt 3\n")


async def test_what_gives_itself_up_is_dead_at_once(process: Process, acme: TenantRef, owner: DriverConnection) -> None:
    @tenant_job("tests.give_up", max_attempts=3)
    async def give_up(_arguments: Title) -> None:
        raise GivenUp(attempts=1, reason="it is no use")

    await ask(process, acme, give_up)
    async with at_work(process, give_up):
        (row,) = await came_to(owner, "dead")
    assert (row["attempts"], row["error"]) == (
        1,
        "GivenUp: It was tried 1 times, and will not be tried again: it is no use.",
    )


async def test_a_job_that_this_release_does_not_know_dies_and_says_so(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await ask(process, acme, write)
    async with at_work(process):
        (row,) = await came_to(owner, "dead")
    assert row["error"] == "UnknownJob: This release has no job tests.write."


async def test_names_that_somebody_makes_up_are_one_series(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    """Or whoever can run SQL in one tenant could fill the memory of all workers, and of Prometheus."""
    for number in range(20):
        await owner.execute(_ENQUEUE, acme.id, f"made.up_{number}", "{}")
    async with at_work(process, write) as work:
        await came_to(owner, *["dead"] * 20)
        await work.ended()
    assert work.job_names == {"unknown"}


async def test_a_tenant_that_asks_for_a_job_of_the_platform_gets_nothing_done(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await owner.execute(_ENQUEUE, acme.id, make_workers.name, "{}")
    async with at_work(process, make_workers, write):
        (row,) = await came_to(owner, "dead")
    assert row["error"] == "WrongPlane: The job tests.make_workers was asked for by a tenant, and is not for them."


async def test_the_platform_that_asks_for_a_job_of_tenants_gets_nothing_done(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await owner.execute(_ENQUEUE, None, write.name, '{"title": "done"}')
    async with at_work(process, write):
        (row,) = await came_to(owner, "dead")
    assert row["error"] == "WrongPlane: The job tests.write was asked for by the platform, and is not for them."


@pytest.mark.parametrize("arguments", ["{}", '{"title": 1}', "[]", "null", '"title"'])
async def test_arguments_of_another_shape_are_refused_before_the_call(
    process: Process, acme: TenantRef, owner: DriverConnection, arguments: str
) -> None:
    class Named(Struct, frozen=True):
        title: str

    @tenant_job("tests.name", max_attempts=1)
    async def name(_arguments: Named) -> None:
        raise AssertionError("nobody may call it")

    await owner.execute(_ENQUEUE, acme.id, name.name, arguments)
    async with at_work(process, name):
        (row,) = await came_to(owner, "dead")
    assert row["error"].startswith("ValidationError: ")


async def test_a_job_that_takes_too_long_is_cancelled_and_has_failed(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    # Where the machine is busy, another attempt may take too long, too.
    @tenant_job("tests.dawdle", max_attempts=100, timeout_s=0.5)
    async def dawdle(arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
        await ItemService(session=session).add(ItemCreate(arguments.title))
        if job.attempt == 1:
            await asyncio.sleep(60)

    await ask(process, acme, dawdle)
    async with at_work(process, dawdle) as work:
        await all_done(owner)
        await work.ended()
        assert (work.count(dawdle, "failed") > 0, work.count(dawdle, "succeeded")) == (True, 1)
    assert await titles(process, acme) == ["done"]


async def test_a_time_out_of_the_job_itself_is_told_as_its_own(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    @tenant_job("tests.give_up", max_attempts=1)
    async def give_up(_arguments: Title) -> None:
        raise TimeoutError("the bank does not answer")

    @tenant_job("tests.dawdle", max_attempts=1, timeout_s=0.1)
    async def dawdle(_arguments: Title) -> None:
        await asyncio.sleep(60)

    async with at_work(process, give_up, dawdle):
        await ask(process, acme, give_up)
        await came_to(owner, "dead")
        await ask(process, acme, dawdle)
        first, second = await came_to(owner, "dead", "dead")
    assert first["error"] == "TimeoutError: the bank does not answer"
    assert second["error"] == "TookTooLong: The job was cancelled after 0.1 seconds."


class Unspeakable(RuntimeError):
    def __str__(self) -> str:
        raise LookupError


async def _cancel_itself() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (BaseExceptionGroup("several", [asyncio.CancelledError()]), "BaseExceptionGroup: several (1 sub-exception)"),
        (None, "CancelledError: "),
        (Unspeakable(), "Unspeakable"),
        (LookupError("a\0b\ud800"), "LookupError: ab?"),
        (LookupError("x" * 100_000), "LookupError: " + "x" * 19_987),
    ],
    ids=["exit", "group", "cancelled", "unspeakable", "not storable", "long"],
)
async def test_whatever_a_job_raises_counts_as_an_attempt_and_the_worker_lives_on(
    process: Process, acme: TenantRef, owner: DriverConnection, error: BaseException | None, told: str
) -> None:
    @tenant_job("tests.raise_it", max_attempts=2)
    async def raise_it(_arguments: Title) -> None:
        if error is None:
            await _cancel_itself()
        else:
            raise error

    await ask(process, acme, raise_it)
    async with at_work(process, raise_it, write) as work:
        (row,) = await came_to(owner, "dead")
        await ask(process, acme, write)
        await came_to(owner, "dead")
        await work.ended()
        assert work.running == 0
    assert (row["error"], row["attempts"]) == (told, 2)
    assert len(row["traceback"]) <= 20_000
    assert await titles(process, acme) == ["done"]


async def test_a_job_of_either_is_called_for_both(process: Process, acme: TenantRef, owner: DriverConnection) -> None:
    tenants: list[Any] = []

    @tenant_job("tests.see_whom")
    async def see_whom(_arguments: Title, tenant: TenantRef, job: ClaimedJob) -> None:
        tenants.append((tenant.id, job.tenant_id))

    async with platform_session(process.database) as session:
        await enqueue_for(session, acme.id, see_whom, Title())
    async with at_work(process, see_whom):
        await all_done(owner)
    assert tenants == [(acme.id, acme.id)]


def test_a_job_that_needs_what_its_plane_does_not_give_is_refused_before_any_work(process: Process) -> None:
    @platform_job("tests.look")
    async def look(_arguments: NoArguments, reader: TenantReader, tenant: TenantRef, session: PlatformSession) -> None:
        raise AssertionError("nobody may call it")

    with pytest.raises(BadJob, match="it needs reader, tenant, which its plane does not give"):
        Caller(process, by_name([look]), LogMailer())
