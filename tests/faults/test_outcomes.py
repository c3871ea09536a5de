"""A connection to the database is lost at a statement or in the COMMIT: the answer says which."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import bearer
from tests.faults.serving import served
from tests.postgres_proxy import Strike, Traffic, proxy

DESK = {"title": "Desk"}
_BLOCKED = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = to_regclass($1)"


def asking(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=address, timeout=60)


@asynccontextmanager
async def served_through_a_proxy(settings: Settings) -> AsyncGenerator[tuple[Traffic, httpx.AsyncClient]]:
    url = settings.database_url.get_secret_value()
    parts = urlsplit(url)
    async with proxy(parts.hostname or "", parts.port or 5432) as traffic:
        through = url.replace(f":{parts.port}/", f":{traffic.port}/")
        async with served(settings, database_url=through) as address, asking(address) as client:
            yield traffic, client


async def _hear_nothing(_backend: int) -> None:
    """Leave PostgreSQL to find out."""


@pytest.mark.parametrize("delivers", [True, False], ids=["PostgreSQL has heard it", "PostgreSQL has not"])
async def test_who_is_lost_in_the_commit_is_told_that_nobody_knows_and_may_repeat_with_the_key(
    settings: Settings, process: Process, acme: TenantRef, owner: Any, delivers: bool
) -> None:
    headers = {**await bearer(process, acme), "Idempotency-Key": "once"}
    count = f'SELECT count(*) FROM "{acme.schema}".items'
    async with served_through_a_proxy(settings) as (traffic, client):
        traffic.strike = Strike(0, delivers=delivers, act=_hear_nothing, behind="INSERT INTO items")
        lost = await client.post("/v1/items", headers=headers, json=DESK)
        assert refusal_of(lost) == (503, "outcome-unknown")
        assert lost.headers["retry-after"] == "1"
        assert await owner.fetchval(count) == int(delivers)
        async with asyncio.timeout(60):
            while (again := await client.post("/v1/items", headers=headers, json=DESK)).status_code == 409:
                await asyncio.sleep(0.05)  # until the backend that heard nothing has given up
        assert again.status_code == 201
        assert ("idempotent-replayed" in again.headers) is delivers
    assert await owner.fetchval(count) == 1


async def test_who_is_lost_before_the_commit_is_told_that_nothing_was_done(
    settings: Settings, process: Process, acme: TenantRef, owner: Any
) -> None:
    headers = await bearer(process, acme)
    async with served(settings) as address, asking(address) as client, owner.transaction():
        await owner.execute(f'LOCK TABLE "{acme.schema}".items IN ACCESS EXCLUSIVE MODE')
        answering = asyncio.create_task(client.post("/v1/items", headers=headers, json=DESK))
        async with asyncio.timeout(60):
            while not (blocked := await owner.fetch(_BLOCKED, f'"{acme.schema}".items')):
                await asyncio.sleep(0.02)
        of_app: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
        await of_app.fetch("SELECT pg_terminate_backend($1)", blocked[0]["pid"])
        await of_app.close()
        assert refusal_of(await answering) == (503, "database-unavailable")
    assert await owner.fetchval(f'SELECT count(*) FROM "{acme.schema}".items') == 0
