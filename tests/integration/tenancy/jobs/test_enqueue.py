"""A job is there if, and only if, the transaction that asked for it was committed, and it carries its tenant."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct, field
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.database import Database, DriverConnection, platform_session
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.sqlstate import ValueRefused
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession, open_tenant_session, prepare_engine
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import BadJob, NoArguments, tenant_job
from leasehold.tenancy.jobs.enqueue import BadArguments, enqueue, enqueue_for
from leasehold.tenancy.jobs.models import CHANNEL
from leasehold.workspace.items.models import Item
from tests.integration.tenancy.jobs.chores import Note, asked, asked_by_the_platform, note, report, row_of, states, tell
from tests.isolation.conftest import open_pool
from tests.isolation.scenario import TITLES

And = Callable[[TenantSession], Awaitable[None]]


_SHELF = UUID("0198f1a0-0000-7000-8000-000000000001")


class Parcel(Struct, frozen=True):
    weight_kg: Annotated[int, Meta(le=30)] = 1
    note: Annotated[str, Meta(max_length=10)] = ""
    price: float = 1.5
    rooms: dict[int, UUID] = field(default_factory=dict)
    text: int = 0


@tenant_job("tests.deliver")
async def deliver(_arguments: Parcel) -> None: ...


class Deliberate(RuntimeError):
    """Raised to see what an exception leaves behind."""


async def _work(process: Process, tenant: TenantRef, and_then: And, message: str = "x") -> None:
    """Make an item, ask for a job, and then let something happen before the commit."""
    async with open_tenant_session(process.database, tenant) as session:
        session.add(Item(title="Desk", description=""))
        assert await enqueue(session, note, Note(message))
        await and_then(session)


async def _raise(_session: TenantSession) -> None:
    raise Deliberate


async def _do_nothing(_session: TenantSession) -> None: ...


async def _titles(process: Process, tenant: TenantRef) -> list[str]:
    async with open_tenant_session(process.database, tenant) as session:
        return list(await session.scalars(TITLES))


async def test_a_job_is_there_once_its_transaction_has_committed_and_not_before(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    async def see_none(_session: TenantSession) -> None:
        assert await states(app_connection) == []

    await _work(process, acme, see_none)
    assert await _titles(process, acme) == ["Desk"]
    assert await states(app_connection) == [("tests.note", "ready")]


async def test_an_exception_takes_work_and_job_back(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    with pytest.raises(Deliberate):
        await _work(process, acme, _raise)
    assert await states(app_connection) == []
    assert await _titles(process, acme) == []


async def test_a_backend_that_dies_before_the_commit_takes_work_and_job_with_it(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    async def kill(session: TenantSession) -> None:
        backend = await session.scalar(text("SELECT pg_backend_pid()"))
        await app_connection.execute("SELECT pg_terminate_backend($1, 5000)", backend)

    with pytest.raises(DatabaseUnavailable):
        await _work(process, acme, kill)
    assert await states(app_connection) == []
    assert await _titles(process, acme) == []


async def test_a_savepoint_takes_back_the_jobs_behind_it_alone(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    async with open_tenant_session(process.database, acme) as session:
        await enqueue(session, note, Note("x"))
        savepoint = await session.begin_nested()
        await enqueue(session, tell, Note("y"))
        await savepoint.rollback()
    assert await states(app_connection) == [("tests.note", "ready")]


async def test_a_tenants_job_carries_its_tenant_its_arguments_and_what_its_definition_says(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    await asked(process, acme, note, "Grüße")
    row = await row_of(app_connection)
    assert (row["tenant_id"], row["lane"], row["name"]) == (acme.id, acme.id, "tests.note")
    assert json.loads(row["arguments"]) == {"text": "Grüße"}
    assert (row["priority"], row["max_attempts"], row["attempts"]) == (3, 2, 0)


async def test_a_job_of_the_platform_carries_no_tenant(process: Process, app_connection: DriverConnection) -> None:
    await asked_by_the_platform(process)
    row = await row_of(app_connection)
    assert (row["tenant_id"], row["lane"], row["name"]) == (None, UUID(int=0), "tests.report")


async def test_a_job_of_either_belongs_to_who_asked(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    await asked(process, acme, tell)
    await asked_by_the_platform(process, tell)
    rows = await app_connection.fetch("SELECT tenant_id FROM platform.jobs ORDER BY id")
    assert [row["tenant_id"] for row in rows] == [acme.id, None]


async def test_a_job_for_the_other_plane_is_refused_before_anything_is_sent(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    async with open_tenant_session(process.database, acme) as session:
        with pytest.raises(BadJob, match="it is not one of the tenants"):
            await enqueue(session, report, NoArguments())
    async with platform_session(process.database) as session:
        with pytest.raises(BadJob, match="it is not one of the platform"):
            await enqueue(session, note, Note())
        with pytest.raises(BadJob, match="it is not one of the tenants"):
            await enqueue_for(session, acme.id, report, NoArguments())
    assert await states(app_connection) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (Parcel(weight_kg=31), r"Expected `int` <= 30 - at `\$\.weight_kg`"),
        (Parcel(note="x" * 11), r"Expected `str` of length <= 10 - at `\$\.note`"),
        (Parcel(weight_kg="heavy"), r"Expected `int`, got `str` - at `\$\.weight_kg`"),  # type: ignore[arg-type]  # a mistake
        (Parcel(price=float("nan")), r"Expected `float`, got `null` - at `\$\.price`"),
        (Parcel(note="\ud800"), "surrogates not allowed"),
        (Parcel(note=object()), "Encoding objects of type object is unsupported"),  # type: ignore[arg-type]  # a mistake
        (Note("x"), r"Expected `int`, got `str` - at `\$\.text`"),
    ],
)
async def test_arguments_that_no_worker_could_read_are_refused_before_anything_is_sent(
    process: Process, acme: TenantRef, app_connection: DriverConnection, arguments: Any, told: str
) -> None:
    async with open_tenant_session(process.database, acme) as session:
        with pytest.raises(BadArguments, match=f"The job tests.deliver cannot be asked for with these .*: {told}"):
            await enqueue(session, deliver, arguments)
    async with platform_session(process.database) as session:
        with pytest.raises(BadArguments, match=told):
            await enqueue_for(session, acme.id, deliver, arguments)
    assert await states(app_connection) == []


async def test_arguments_at_their_limits_are_taken(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    async with open_tenant_session(process.database, acme) as session:
        assert await enqueue(session, deliver, Parcel(weight_kg=30, note="x" * 10, rooms={1: _SHELF}))
    (row,) = await app_connection.fetch("SELECT arguments FROM platform.jobs")
    assert msgspec.json.decode(row["arguments"], type=Parcel) == Parcel(weight_kg=30, note="x" * 10, rooms={1: _SHELF})


async def test_arguments_that_cannot_be_stored_refuse_the_work_too(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    with pytest.raises(ValueRefused):
        await _work(process, acme, _do_nothing, "\0")
    assert await states(app_connection) == []
    assert await _titles(process, acme) == []


async def test_workers_are_woken_by_the_commit_and_not_by_what_was_rolled_back(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    woken = asyncio.Event()

    def hear(*_: Any) -> None:
        woken.set()

    await app_connection.add_listener(CHANNEL, hear)
    with pytest.raises(Deliberate):
        await _work(process, acme, _raise)
    async with open_tenant_session(process.database, acme) as session:
        await enqueue(session, note, Note())
        await app_connection.execute("SELECT 1")  # with which a notification would have come
        assert not woken.is_set()
    async with asyncio.timeout(60):
        await woken.wait()
    await app_connection.remove_listener(CHANNEL, hear)


async def test_where_tenants_have_no_roles_the_session_says_whose_job_it_is(
    settings: Settings, acme: TenantRef, app_connection: DriverConnection
) -> None:
    assert settings.owner_url is not None
    # Only a login with rights on the schemas can work without roles: here the owner stands for it.
    with_rights = settings.model_copy(update={"database_url": settings.owner_url})
    database = Database(open_pool(with_rights, 1).engine, tenant_roles=False)
    prepare_engine(database.engine, max_tenants=500)
    async with open_tenant_session(database, acme) as session:
        assert await enqueue(session, note, Note())
    await database.close()
    assert (await row_of(app_connection))["tenant_id"] == acme.id
