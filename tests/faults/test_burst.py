"""A burst of 2,000 connections of one tenant is answered to the last one, by success or by 429, and leaves nothing."""

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer, item, until
from tests.faults.backends import Backends, backends_of
from tests.faults.serving import served

CLIENTS = 2_000
ALL_FOR_ONE = {"pool_size": "4", "tenant_share": "1", "pool_timeout_s": "0.5"}
"""Connections for one tenant to use up."""
WITHIN_S = 25
"""Less than the 30 seconds after which the server closes idle connections, and so makes room for who never had any."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    media_type: str
    retry_after: str | None


FOUND = Answer(200, "application/json", None)
MADE = Answer(201, "application/json", None)
BUSY = Answer(429, "application/problem+json", "1")


@dataclass(frozen=True, slots=True)
class Requests:
    """What clients ask of one tenant, as they send it."""

    headers: dict[str, str]
    path: str

    @property
    def get(self) -> bytes:
        return self._written("GET", self.path, b"")

    @property
    def post(self) -> bytes:
        return self._written("POST", "/v1/items", b'{"title":"Desk"}')

    def _written(self, method: str, path: str, body: bytes) -> bytes:
        headers = {**self.headers, "Host": "127.0.0.1", "Content-Length": len(body)}
        if body:
            headers["Content-Type"] = "application/json"
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + body


@pytest.fixture(autouse=True)
def _many_files() -> Generator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def requests(process: Process, acme: TenantRef) -> Requests:
    """Requests with a token that is valid for all that they ask."""
    made = await item(process, acme)
    return Requests(await bearer(process, acme), f"/v1/items/{made.id}")


@pytest.fixture
async def backends(settings: Settings, process: Process) -> AsyncGenerator[Backends]:
    async with backends_of(settings) as found:
        yield found


@asynccontextmanager
async def locked_items(settings: Settings, tenant: TenantRef) -> AsyncGenerator[None]:
    """Let nobody read or write the items of a tenant until the end of the block."""
    assert settings.owner_url is not None
    owner: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    try:
        async with owner.transaction():
            await owner.execute(f'LOCK TABLE "{tenant.schema}".items IN ACCESS EXCLUSIVE MODE')
            yield
    finally:
        await owner.close()


async def burst(address: str, request: bytes, answers: list[Answer]) -> None:
    """Send one request on each of 2,000 connections; none is closed before all are answered."""
    all_answered = asyncio.Barrier(CLIENTS)
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_ask(address, request, answers, all_answered))


async def _ask(address: str, request: bytes, answers: list[Answer], all_answered: asyncio.Barrier) -> None:
    url = httpx.URL(address)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        writer.write(request)
        answers.append(_answer(await reader.readuntil(b"\r\n\r\n")))
        await all_answered.wait()
    finally:
        writer.transport.abort()


def _answer(head: bytes) -> Answer:
    status, *lines = head.decode().splitlines()
    headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines if line])
    return Answer(int(status.split()[1]), headers["content-type"], headers.get("retry-after"))


async def status_of_one(address: str, requests: Requests) -> int:
    async with httpx.AsyncClient(base_url=address, headers=requests.headers) as client:
        return (await client.get(requests.path)).status_code


async def demand_recovery(address: str, requests: Requests, backends: Backends, *, at_most: int) -> None:
    """Demand that the server answers as if nothing had been, and holds no transaction and no connection too many."""
    async with httpx.AsyncClient(base_url=address, headers=requests.headers) as client:
        assert [(await client.get(requests.path)).status_code for _ in range(50)] == [200] * 50
    # A backend that begins or ends has no state for a moment; one that is left over keeps its own.
    async with asyncio.timeout(10):
        while set(await backends.states()) != {"idle"}:
            await asyncio.sleep(0.05)
    assert await backends.count() <= at_most


@pytest.mark.parametrize(("method", "success"), [("get", FOUND), ("post", MADE)])
async def test_each_of_2000_connections_at_once_is_answered(
    settings: Settings, requests: Requests, backends: Backends, method: str, success: Answer
) -> None:
    answers: list[Answer] = []
    async with served(settings) as address:
        await burst(address, getattr(requests, method), answers)
        assert len(answers) == 2000
        assert set(answers) <= {success, BUSY}
        assert success in answers
        await demand_recovery(address, requests, backends, at_most=15)


@pytest.mark.parametrize(("method", "expected"), [("get", {BUSY: 1997, FOUND: 3}), ("post", {BUSY: 1999, MADE: 1})])
async def test_while_all_connections_hang_in_the_database_everybody_else_is_told_to_come_back(
    settings: Settings,
    requests: Requests,
    backends: Backends,
    acme: TenantRef,
    method: str,
    expected: dict[Answer, int],
) -> None:
    answers: list[Answer] = []
    async with served(settings, **ALL_FOR_ONE) as address:
        assert await status_of_one(address, requests) == 200
        async with asyncio.TaskGroup() as group, locked_items(settings, acme):
            group.create_task(burst(address, getattr(requests, method), answers))
            await until(lambda: len(answers) == expected[BUSY], timeout_s=WITHIN_S)
            assert set(answers) == {BUSY}
        assert Counter(answers) == expected
        await demand_recovery(address, requests, backends, at_most=7)


async def test_clients_that_hang_up_while_they_wait_leave_nothing_behind(
    settings: Settings, requests: Requests, backends: Backends, acme: TenantRef
) -> None:
    async with (
        served(settings, **ALL_FOR_ONE) as address,
        asyncio.timeout(WITHIN_S),
    ):
        assert await status_of_one(address, requests) == 200
        async with locked_items(settings, acme):
            clients = asyncio.create_task(burst(address, requests.get, []))
            while await backends.blocked() < 3:
                await asyncio.sleep(0.01)
            clients.cancel()
            await asyncio.wait([clients])
        while await status_of_one(address, requests) != 200:
            await asyncio.sleep(0.05)
        await demand_recovery(address, requests, backends, at_most=7)
