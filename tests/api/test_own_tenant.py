"""What a tenant sees and asks of the platform about itself, and that it never is another."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from leasehold.core.database import platform_session
from leasehold.core.ids import new_id
from leasehold.platform.usage.flush import flush_usage
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import pointers_of, refusal_of
from tests.api.test_platform_usage import _ADD_SIZE, used
from tests.audit import events_of
from tests.factories import admin, bearer
from tests.pooler import direct

DELETION = "/v1/tenant/deletion-request"
MARCH = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-03T00:00:00Z"}


async def test_a_tenant_sees_the_usage_that_admins_see_and_no_others(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    url = direct(process.settings)
    day = datetime(2026, 3, 1, tzinfo=UTC)
    used(url, acme, (day, 7), (day.replace(hour=5), 3))
    used(url, globex, (day, 1000))
    with psycopg.connect(url) as connection:
        connection.execute(_ADD_SIZE, [new_id(), acme.id, day, day, 12, 8192])
        connection.execute(_ADD_SIZE, [new_id(), globex.id, day, day, 99, 99999])
    for parameters in (MARCH, MARCH | {"by": "hour"}):
        ours = await http.get("/v1/tenant/usage", headers=await bearer(process, acme), params=parameters)
        assert ours.status_code == 200
        theirs = await http.get(
            f"/platform/v1/tenants/{acme.id}/usage", headers=await admin(process), params=parameters
        )
        assert ours.json() == theirs.json()
        assert ours.json()["total"]["requests"] == 10
        assert ours.json()["sizes"][0]["bytes"] == 8192


async def test_what_was_asked_just_now_is_there_when_it_is_flushed(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    await http.get("/v1/items", headers=headers)
    await flush_usage(process.usage, process.database)
    assert (await http.get("/v1/tenant/usage", headers=headers)).json()["total"]["requests"] == 1


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [({"from": "2026-03-01T00:00:00"}, "?from"), ({"to": "0001-01-01T00:00:00Z"}, "?to"), ({"by": "minute"}, "?by")],
)
async def test_a_range_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, parameters: dict[str, str], pointer: str
) -> None:
    refused = await http.get("/v1/tenant/usage", headers=await bearer(process, acme), params=parameters)
    assert refusal_of(refused) == (422, "validation-failed")
    assert pointers_of(refused) == [pointer]


async def test_a_tenant_asks_to_be_deleted_and_takes_it_back(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs, root = await bearer(process, acme), await bearer(process, globex), await admin(process)
    assert (await http.get(DELETION, headers=ours)).json() == {"requested_at": None}
    answers = await asyncio.gather(*(http.post(DELETION, headers=ours) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    asked_at = answers[0].json()["requested_at"]
    assert asked_at is not None
    assert {answer.json()["requested_at"] for answer in answers} == {asked_at}
    assert (await http.get(DELETION, headers=ours)).json() == {"requested_at": asked_at}
    assert (await http.get(DELETION, headers=theirs)).json() == {"requested_at": None}
    shown = (await http.get(f"/platform/v1/tenants/{acme.id}", headers=root)).json()
    assert (shown["deletion_requested_at"], shown["state"]) == (asked_at, "active")
    wanted = {"deletion_requested_at[gte]": asked_at, "deletion_requested_at[lte]": asked_at}
    listed = (await http.get("/platform/v1/tenants", headers=root, params=wanted)).json()["items"]
    assert [one["id"] for one in listed] == [str(acme.id)]
    assert (await http.delete(DELETION, headers=theirs)).status_code == 204
    assert (await http.get(DELETION, headers=ours)).json() == {"requested_at": asked_at}
    for _ in range(2):
        assert (await http.delete(DELETION, headers=ours)).status_code == 204
    assert (await http.get(DELETION, headers=ours)).json() == {"requested_at": None}
    actions = [event["action"] for event in events_of(process.settings, acme)]
    assert sorted(action for action in actions if action.startswith("deletion.")) == [
        "deletion.requested",
        "deletion.withdrawn",
    ]
    assert [event for event in events_of(process.settings, globex) if event["action"].startswith("deletion.")] == []


@pytest.mark.parametrize(
    "question",
    [
        "SELECT requests FROM platform.own_usage(:other, 'day', '2026-03-01Z', '2026-03-02Z')",
        "SELECT bytes FROM platform.own_sizes(:other, '2026-03-01Z', '2026-03-02Z')",
        "SELECT own FROM platform.own_deletion(:other) own WHERE own IS NOT NULL",
    ],
)
async def test_a_tenant_that_claims_to_be_another_is_still_itself(
    process: Process, acme: TenantRef, globex: TenantRef, question: str
) -> None:
    url = direct(process.settings)
    day = datetime(2026, 3, 1, tzinfo=UTC)
    used(url, globex, (day, 1000))
    with psycopg.connect(url) as connection:
        connection.execute(_ADD_SIZE, [new_id(), globex.id, day, day, 99, 99999])
        connection.execute("SELECT platform.request_own_deletion(%s)", [globex.id])
    values: dict[str, Any] = {"other": globex.id}
    async with open_tenant_session(process.database, acme) as session:
        assert (await session.execute(text(question), values)).all() == []
    async with open_tenant_session(process.database, globex) as session:
        assert len((await session.execute(text(question), values)).all()) == 1


async def test_a_tenant_that_claims_to_be_another_asks_for_its_own_end_alone(
    process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text("SELECT platform.request_own_deletion(:other)"), {"other": globex.id})
    asked = "SELECT slug FROM platform.tenants WHERE id = ANY(:both) AND deletion_requested_at IS NOT NULL"
    async with platform_session(process.database) as session:
        found = await session.scalars(text(asked), {"both": [acme.id, globex.id]})
        assert list(found) == [acme.slug]


@pytest.mark.parametrize("table", ["plans", "tenants", "tenant_usage", "tenant_sizes"])
async def test_a_tenants_role_reads_none_of_the_platforms_tables(process: Process, acme: TenantRef, table: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with open_tenant_session(process.database, acme) as session:
            await session.execute(text(f"SELECT id FROM platform.{table}"))
