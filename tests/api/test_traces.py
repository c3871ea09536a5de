"""A request belongs to the trace that it names, and hands it on to the jobs that it asks for."""

from typing import Any

import asyncpg
import httpx

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.trace import trace_of
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer
from tests.pooler import direct

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


async def handed_on(settings: Settings, tenant: TenantRef) -> list[str]:
    connection: Any = await asyncpg.connect(driver_url(direct(settings)))
    try:
        rows = await connection.fetch("SELECT traceparent FROM platform.jobs WHERE tenant_id = $1", tenant.id)
    finally:
        await connection.close()
    return [row["traceparent"] for row in rows]


async def test_a_request_hands_its_trace_to_the_jobs_it_asks_for(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    headers = await bearer(process, acme) | {"traceparent": TRACEPARENT}
    for number in range(2):
        body = {"email": f"sam{number}@acme.example", "role": "member"}
        assert (await http.post("/v1/invitations", headers=headers, json=body)).status_code == 201
    first, second = await handed_on(settings, acme)
    assert trace_of(first)[:2] == trace_of(second)[:2] == (TRACE_ID, True)
    assert len({first, second, TRACEPARENT}) == 3


async def test_who_names_two_traces_gets_a_new_one(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    token = await bearer(process, acme)
    twice = [*token.items(), ("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT.replace("4bf9", "4bfa"))]
    body = {"email": "sam@acme.example", "role": "member"}
    assert (await http.post("/v1/invitations", headers=twice, json=body)).status_code == 201
    (named,) = await handed_on(settings, acme)
    assert "92f3577b34da6a3ce929d0e0e4736" not in named
