"""A tenant can enqueue for itself alone, whatever it says, and reaches nothing else of the queue."""

import json
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import select

from leasehold.config import Settings
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.enqueue import enqueue
from tests.integration.tenancy.jobs.chores import Hand, Note, asked, note, report, row_of, states

_ENQUEUE_OWN = "SELECT platform.enqueue_own_job($1, $2, $3, 0, 3, 0, NULL)"
_DENIED = asyncpg.InsufficientPrivilegeError


@pytest.fixture
async def as_acme(
    settings: Settings, acme: TenantRef, app_connection: DriverConnection
) -> AsyncGenerator[DriverConnection]:
    """A connection in a transaction that is bound to acme as every transaction of acme is."""
    connection: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
    await connection.execute(f'BEGIN; SET LOCAL search_path = "{acme.schema}", pg_temp; SET LOCAL ROLE "{acme.role}"')
    yield connection
    await connection.close()


async def test_what_a_tenant_enqueues_is_its_own(as_acme: DriverConnection, acme: TenantRef, hand: Hand) -> None:
    assert await as_acme.fetchval(_ENQUEUE_OWN, new_id(), note.name, "{}")
    await as_acme.execute("COMMIT")
    claimed = await hand.claim_one()
    assert (claimed.tenant_id, claimed.lane) == (acme.id, acme.id)


async def test_arguments_that_name_another_tenant_are_only_arguments(
    as_acme: DriverConnection, acme: TenantRef, globex: TenantRef, app_connection: DriverConnection
) -> None:
    forged = json.dumps({"tenant": str(globex.id), "tenant_id": str(globex.id), "lane": str(globex.id)})
    await as_acme.fetchval(_ENQUEUE_OWN, globex.id, note.name, forged)
    await as_acme.execute("COMMIT")
    row = await row_of(app_connection)
    assert (row["tenant_id"], row["lane"]) == (acme.id, acme.id)


async def test_a_session_that_takes_itself_for_another_tenants_enqueues_for_the_bound_one(
    process: Process, acme: TenantRef, globex: TenantRef, app_connection: DriverConnection
) -> None:
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(select(1))
        session.info["tenant"] = globex
        assert session.tenant == globex
        assert await enqueue(session, note, Note())
    assert (await row_of(app_connection))["tenant_id"] == acme.id


async def test_the_name_of_a_platform_job_makes_no_job_of_the_platform(
    as_acme: DriverConnection, acme: TenantRef, app_connection: DriverConnection
) -> None:
    await as_acme.fetchval(_ENQUEUE_OWN, new_id(), report.name, "{}")
    await as_acme.execute("COMMIT")
    assert (await row_of(app_connection))["tenant_id"] == acme.id


async def test_a_path_that_leads_elsewhere_changes_nothing(
    as_acme: DriverConnection, acme: TenantRef, globex: TenantRef, app_connection: DriverConnection
) -> None:
    await as_acme.execute(f'SET LOCAL search_path = "{globex.schema}", platform, pg_temp')
    await as_acme.fetchval(_ENQUEUE_OWN, new_id(), note.name, "{}")
    await as_acme.execute("COMMIT")
    assert (await row_of(app_connection))["tenant_id"] == acme.id


_FOR_ANOTHER = "SELECT platform.enqueue_job('{other}', gen_random_uuid(), 'tests.note', '{{}}', 0, 3, 0, NULL)"

_INSERT = """
INSERT INTO platform.jobs (id, tenant_id, name, arguments, priority, max_attempts, state, run_at)
VALUES (gen_random_uuid(), '{other}', 'tests.note', '{{}}', 0, 3, 'ready', now())
"""


@pytest.mark.parametrize(
    "statement",
    [
        _FOR_ANOTHER,
        _FOR_ANOTHER.replace("'{other}'", "NULL"),
        _FOR_ANOTHER.replace("{other}", "{own}"),
        _INSERT,
        "UPDATE platform.jobs SET tenant_id = '{other}'",
        "DELETE FROM platform.jobs",
        "SELECT id FROM platform.jobs",
        "TRUNCATE platform.jobs",
        "SELECT platform.finish_job(gen_random_uuid(), gen_random_uuid(), 1)",
        "SELECT platform.forget_changes()",
        "INSERT INTO platform.job_workers VALUES (gen_random_uuid(), 'x', 1, now(), now())",
        "SELECT id FROM platform.job_workers",
        "UPDATE platform.periodic_tasks SET due_at = now()",
    ],
)
async def test_everything_else_of_the_queue_is_refused_by_postgresql(
    process: Process,
    as_acme: DriverConnection,
    acme: TenantRef,
    globex: TenantRef,
    app_connection: DriverConnection,
    statement: str,
) -> None:
    await asked(process, acme)
    with pytest.raises(_DENIED, match="permission denied"):
        await as_acme.execute(statement.format(own=acme.id, other=globex.id))
    await as_acme.execute("ROLLBACK")
    assert await states(app_connection) == [("tests.note", "ready")]
    assert (await row_of(app_connection))["tenant_id"] == acme.id


async def test_who_is_no_tenant_has_no_job_of_its_own(settings: Settings, app_connection: DriverConnection) -> None:
    with pytest.raises(_DENIED, match="permission denied for function enqueue_own_job"):
        await app_connection.fetchval(_ENQUEUE_OWN, new_id(), note.name, "{}")
    assert settings.owner_url is not None
    owner: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    with pytest.raises(_DENIED, match="only a tenant can enqueue a job of its own"):
        await owner.fetchval(_ENQUEUE_OWN, new_id(), note.name, "{}")
    await owner.close()
    assert await states(app_connection) == []


async def test_the_id_of_a_job_that_is_there_already_is_refused_and_changes_nothing(
    process: Process, as_acme: DriverConnection, globex: TenantRef, app_connection: DriverConnection
) -> None:
    await asked(process, globex, text="secret")
    theirs = await row_of(app_connection)
    with pytest.raises(asyncpg.UniqueViolationError):
        await as_acme.fetchval(_ENQUEUE_OWN, theirs["id"], note.name, '{"text": "mine"}')
    await as_acme.execute("ROLLBACK")
    assert await row_of(app_connection) == theirs


@pytest.mark.parametrize("values", ["0, 3, 'NaN'", "0, 3, 'Infinity'", "NULL, 3, 0", "0, NULL, 0", "0, 3, NULL"])
async def test_what_makes_no_sense_is_refused(
    as_acme: DriverConnection, app_connection: DriverConnection, values: str
) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        await as_acme.execute(f"SELECT platform.enqueue_own_job('{uuid4()}', 'tests.note', '{{}}', {values}, NULL)")
    assert (refused.value.sqlstate or "")[:2] in {"22", "23"}
    await as_acme.execute("ROLLBACK")
    assert await states(app_connection) == []


async def test_a_time_in_the_past_wins_no_place_before_another_tenants_job(
    process: Process, as_acme: DriverConnection, acme: TenantRef, globex: TenantRef, hand: Hand
) -> None:
    await asked(process, globex)
    for _ in range(5):
        await as_acme.execute(
            f"SELECT platform.enqueue_own_job('{new_id()}', 'tests.note', '{{}}', 1000000, 3, -1e9, NULL)"
        )
    await as_acme.execute("COMMIT")
    assert {job.tenant_id for job in await hand.claim(wanted=2)} == {acme.id, globex.id}
