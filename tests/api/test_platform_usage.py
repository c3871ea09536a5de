"""`/platform/v1/tenants/{id}/usage`: what each tenant asked of the process, counted for it and for no other."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from leasehold.config import Settings
from leasehold.core.ids import new_id
from leasehold.platform.usage.flush import flush_usage
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import on, pointers_of, refusal_of
from tests.factories import admin, bearer
from tests.pooler import direct

NOBODY = "0198c5f2-0000-7000-8000-000000000000"
NOTHING = {
    "requests": 0,
    "refused": 0,
    "errors": 0,
    "database_seconds": 0.0,
    "received_bytes": 0,
    "sent_bytes": 0,
}
_ADD = """
INSERT INTO platform.tenant_usage (id, tenant_id, starts_at, requests, refused, errors, database_us, received_bytes,
                                   sent_bytes)
VALUES (%s, %s, %s, %s, 2, 1, 1500000, 10, 20)
"""
_ADD_SIZE = """
INSERT INTO platform.tenant_sizes (id, tenant_id, starts_at, measured_at, rows, bytes) VALUES (%s, %s, %s, %s, %s, %s)
"""


@pytest.fixture
async def headers(process: Process) -> dict[str, str]:
    """An admin who may look at tenants, and nothing else."""
    return await admin(process, "platform:tenants:read")


@pytest.fixture
def url(settings: Settings) -> str:
    """The login of the app."""
    return direct(settings)


def used(url: str, tenant: TenantRef, *hours: tuple[datetime, int]) -> None:
    """Write hours with so many requests, as a process would have flushed them."""
    with psycopg.connect(url) as connection:
        for starts_at, requests in hours:
            connection.execute(_ADD, [new_id(), tenant.id, starts_at, requests])


async def usage_of(
    http: httpx.AsyncClient, headers: dict[str, str], tenant: TenantRef, **parameters: str
) -> dict[str, Any]:
    answer = await http.get(f"/platform/v1/tenants/{tenant.id}/usage", headers=headers, params=parameters)
    assert answer.status_code == 200, answer.text
    usage: dict[str, Any] = answer.json()
    return usage


async def test_each_request_counts_once_for_its_own_tenant(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, headers: dict[str, str]
) -> None:
    began_at = time.monotonic()
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    body = b'{"title": "Desk"}'
    sent = 0
    for _ in range(3):
        sent += len((await http.get("/v1/items", headers=ours)).content)
    made = await http.post("/v1/items", headers=ours | {"content-type": "application/json"}, content=body)
    assert made.status_code == 201
    missing = await http.get(f"/v1/items/{NOBODY}", headers=ours)
    assert missing.status_code == 404
    sent += len(made.content) + len(missing.content)
    await http.get("/v1/items", headers=theirs)
    took_s = time.monotonic() - began_at
    await flush_usage(process.usage, process.database)
    total = (await usage_of(http, headers, acme))["total"]
    assert 0 < total.pop("database_seconds") < took_s
    assert total == {"requests": 5, "refused": 1, "errors": 0, "received_bytes": len(body), "sent_bytes": sent}
    other = (await usage_of(http, headers, globex))["total"]
    assert (other["requests"], other["refused"], other["received_bytes"]) == (1, 0, 0)
    assert 0 < other["database_seconds"] < took_s


async def test_requests_of_many_tenants_that_interleave_are_each_counted_for_their_own(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, headers: dict[str, str]
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    requests = [http.get("/v1/items", headers=ours if number % 3 else theirs) for number in range(60)]

    async def flush_often() -> None:
        for _ in range(10):
            await flush_usage(process.usage, process.database)

    answers, _ = await asyncio.gather(asyncio.gather(*requests), flush_often())
    assert {answer.status_code for answer in answers} == {200}
    await flush_usage(process.usage, process.database)
    assert (await usage_of(http, headers, acme))["total"]["requests"] == 40
    assert (await usage_of(http, headers, globex))["total"]["requests"] == 20


async def test_who_is_not_let_in_counts_for_nobody_and_who_lacks_a_scope_for_the_tenant(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, headers: dict[str, str]
) -> None:
    ours = await bearer(process, acme)
    for refused in (
        await http.get(on(globex.slug, "/v1/items"), headers=ours),
        await http.get("/v1/items", headers={**ours, "X-Tenant": globex.slug}),
        await http.get(on(acme.slug, "/v1/items")),
        await http.get(on(acme.slug, "/v1/items"), headers={"Authorization": "Bearer x"}),
        await http.get(on(acme.slug, "/v1/nothing"), headers=ours),
    ):
        assert refused.status_code in {401, 403, 404}
    await flush_usage(process.usage, process.database)
    for tenant in (acme, globex):
        assert (await usage_of(http, headers, tenant))["total"]["requests"] == 0
    lacking = await http.get("/v1/items", headers=await bearer(process, acme, "users:read"))
    assert refusal_of(lacking) == (403, "insufficient-scope")
    await flush_usage(process.usage, process.database)
    total = (await usage_of(http, headers, acme))["total"]
    assert (total["requests"], total["refused"], total["errors"]) == (1, 1, 0)


async def test_a_request_that_fails_is_an_error(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = await bearer(process, acme)

    async def fail(*_arguments: object) -> None:
        raise OSError("the cable is cut")

    with monkeypatch.context() as broken:
        broken.setattr(type(process.readers), "acquire", fail)
        assert (await http.get("/v1/items", headers=ours)).status_code == 503
    await flush_usage(process.usage, process.database)
    total = (await usage_of(http, headers, acme))["total"]
    assert (total["requests"], total["refused"], total["errors"]) == (1, 0, 1)


async def test_a_range_is_divided_into_whole_days_or_hours(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef, headers: dict[str, str], url: str
) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    hours = [(day + timedelta(hours=hour), 10**exponent) for exponent, hour in enumerate((-1, 0, 23, 24, 48))]
    used(url, acme, *hours)
    used(url, globex, (day, 7))
    days = await usage_of(http, headers, acme, **{"from": "2026-03-01T13:30:00Z", "to": "2026-03-02T00:00:01Z"})
    assert (days["starts_at"], days["ends_at"]) == ("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z")
    assert [(bucket["starts_at"], bucket["requests"]) for bucket in days["buckets"]] == [
        ("2026-03-01T00:00:00Z", 110),
        ("2026-03-02T00:00:00Z", 1000),
    ]
    assert days["total"] == {
        "requests": 1110,
        "refused": 6,
        "errors": 3,
        "database_seconds": 4.5,
        "received_bytes": 30,
        "sent_bytes": 60,
    }
    # The same moments with an offset, and an end that is left out of what begins with it.
    hourly = await usage_of(
        http, headers, acme, by="hour", **{"from": "2026-03-01T01:59:59+02:00", "to": "2026-03-02T00:00:00Z"}
    )
    assert (hourly["starts_at"], hourly["ends_at"]) == ("2026-02-28T23:00:00Z", "2026-03-02T00:00:00Z")
    assert [(bucket["starts_at"], bucket["requests"]) for bucket in hourly["buckets"]] == [
        ("2026-02-28T23:00:00Z", 1),
        ("2026-03-01T00:00:00Z", 10),
        ("2026-03-01T23:00:00Z", 100),
    ]


async def test_the_last_thirty_days_are_shown_if_nothing_is_said(
    http: httpx.AsyncClient, acme: TenantRef, headers: dict[str, str], url: str
) -> None:
    now = datetime.now(UTC)
    used(url, acme, (now - timedelta(days=29), 1), (now - timedelta(days=32), 10))
    usage = await usage_of(http, headers, acme)
    assert usage["tenant_id"] == str(acme.id)
    assert usage["total"]["requests"] == 1
    assert (await usage_of(http, headers, acme, to="2001-01-01T00:00:00Z"))["total"] == NOTHING


async def test_sizes_are_shown_by_the_day(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef, headers: dict[str, str], url: str
) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    with psycopg.connect(url) as connection:
        for tenant, number in ((acme, 0), (acme, 1), (acme, 2), (globex, 0)):
            starts_at = day + timedelta(days=number)
            measured_at = starts_at + timedelta(hours=23)
            connection.execute(_ADD_SIZE, [new_id(), tenant.id, starts_at, measured_at, number, 8192])
    usage = await usage_of(http, headers, acme, **{"from": "2026-03-01T00:00:00Z", "to": "2026-03-03T00:00:00Z"})
    assert usage["sizes"] == [
        {"starts_at": "2026-03-01T00:00:00Z", "measured_at": "2026-03-01T23:00:00Z", "rows": 0, "bytes": 8192},
        {"starts_at": "2026-03-02T00:00:00Z", "measured_at": "2026-03-02T23:00:00Z", "rows": 1, "bytes": 8192},
    ]


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"from": "2026-03-01T00:00:00"}, "?from"),
        ({"to": "2026-03-01"}, "?to"),
        ({"from": "yesterday"}, "?from"),
        ({"from": "2026-03-01T00:00:00 02:00"}, "?from"),
        ({"from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "?to"),
        ({"from": "9999-12-31T23:30:00Z"}, "?to"),
        ({"from": "9999-12-31T23:30:00Z", "to": "9999-12-31T23:59:59Z"}, "?to"),
        ({"to": "0001-01-01T00:00:00Z"}, "?to"),
        ({"to": "0001-01-01T00:00:00+14:00"}, "?to"),
        ({"from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "?from"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z", "by": "hour"}, "?from"),
        ({"by": "minute"}, "?by"),
    ],
)
async def test_a_range_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, acme: TenantRef, headers: dict[str, str], parameters: dict[str, str], pointer: str
) -> None:
    refused = await http.get(f"/platform/v1/tenants/{acme.id}/usage", headers=headers, params=parameters)
    assert refusal_of(refused) == (422, "validation-failed")
    assert pointers_of(refused) == [pointer]


async def test_an_unknown_tenant_is_not_found_and_a_deleted_one_keeps_its_numbers(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, headers: dict[str, str]
) -> None:
    unknown = await http.get(f"/platform/v1/tenants/{NOBODY}/usage", headers=headers)
    assert refusal_of(unknown) == (404, "not-found")
    await http.get("/v1/items", headers=await bearer(process, acme))
    writer = await admin(process, "platform:tenants:write")
    assert (await http.delete(f"/platform/v1/tenants/{acme.id}", headers=writer)).status_code == 204
    await flush_usage(process.usage, process.database)
    assert (await usage_of(http, headers, acme))["total"]["requests"] == 1


async def test_usage_is_for_admins_who_may_read_tenants(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    address = f"/platform/v1/tenants/{acme.id}/usage"
    assert (await http.get(address)).status_code == 401
    assert (await http.get(address, headers=await bearer(process, acme))).status_code == 401
    other = await admin(process, "platform:tenants:write", "platform:jobs:read")
    assert refusal_of(await http.get(address, headers=other)) == (403, "insufficient-scope")
