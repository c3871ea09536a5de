"""Clients that are slow, silent or gone hold no connection to the database, and after a time not even their own."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import msgspec
import pytest

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.test_items_import import NDJSON, count_of
from tests.factories import bearer, item, provisioned
from tests.faults.backends import Backends, backends_of
from tests.faults.clients import WITHIN_S, accepted, connected, head_of
from tests.faults.serving import served

JSON = {"Content-Type": "application/json"}
BODY = b'{"title":"Desk"}'
CLIENTS = 6
"""More than the server has connections to its database: one that reads and one that writes."""
MADE_MEANWHILE = 2
END = b"\r\n0\r\n\r\n"
"""Of an export that is complete."""


class Server:
    """A server with little of everything, and what an ordinary client sees of it."""

    def __init__(self, address: str, headers: dict[str, str], backends: Backends) -> None:
        self.address, self.headers = address, headers
        self._backends = backends

    async def demand_service(self) -> None:
        """Demand that reads and writes are answered at once: they would wait in vain for a connection that is held."""
        async with httpx.AsyncClient(base_url=self.address, headers=self.headers, timeout=WITHIN_S) as client:
            statuses = [(await client.post("/v1/items", json={"title": "Lamp"})).status_code for _ in range(2)]
            statuses += [(await client.get("/v1/items")).status_code for _ in range(2)]
        assert statuses == [201, 201, 200, 200]

    async def demand_rest(self) -> None:
        """Demand that nothing is under way in the database: who waits for a client has no transaction."""
        async with asyncio.timeout(WITHIN_S):
            while set(await self._backends.states()) != {"idle"}:
                await asyncio.sleep(0.05)

    async def demand_solitude(self) -> None:
        """Demand that the server gives up every connection, though clients hold on to their ends."""
        async with asyncio.timeout(WITHIN_S):
            while accepted(self.address):
                await asyncio.sleep(0.05)

    async def demand_the_usual(self) -> None:
        """Demand that whatever is going on with some clients, nobody else notices, and that it ends."""
        await self.demand_rest()
        await self.demand_service()
        await self.demand_solitude()


@pytest.fixture(scope="module")
async def tenant(process: Process) -> TenantRef:
    """A tenant of these tests alone."""
    return await provisioned(process)


@pytest.fixture(scope="module")
async def server(
    settings: Settings, process: Process, tenant: TenantRef, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Server]:
    """A server that has complained of nothing at the end."""
    log = tmp_path_factory.mktemp("server") / "log"
    headers = await bearer(process, tenant)
    limits = {"pool_size": "2", "pool_timeout_s": "0.5", "client_timeout_s": "1.5"}
    async with backends_of(settings) as backends:
        with log.open("wb") as output:
            async with served(settings, output=output, **limits) as address:
                yield Server(address, headers, backends)
    assert log.read_text() == ""


@pytest.fixture(scope="module")
async def long(server: Server) -> None:
    """Items whose export is larger than what two kernels keep of it for a client that does not read: 20 MB."""
    line = msgspec.json.encode({"title": "Desk", "description": "x" * 10_000}) + b"\n"
    async with httpx.AsyncClient(base_url=server.address, headers=server.headers, timeout=60) as client:
        assert (await client.post("/v1/items/import", headers=NDJSON, content=line * 2000)).json() == {"imported": 2000}


async def test_who_sends_its_head_byte_by_byte_is_cut_off(server: Server) -> None:
    head = head_of("GET", "/v1/items", {"X-Slow": "x" * 10_000})
    async with connected(server.address, count=CLIENTS) as clients, asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.dawdle(head))
        await server.demand_the_usual()


async def test_who_asks_nothing_more_is_closed(server: Server) -> None:
    async with connected(server.address, count=CLIENTS) as clients:
        for client in clients:
            await client.send(head_of("GET", "/v1/items", server.headers))
            assert (await client.head()).startswith("HTTP/1.1 200 OK\r\n")
        await server.demand_the_usual()


@pytest.mark.parametrize(
    ("length", "start"), [({"Content-Length": "16"}, b""), ({"Transfer-Encoding": "chunked"}, b"10\r\n")]
)
async def test_who_sends_its_body_byte_by_byte_is_told_and_cut_off(
    server: Server, length: dict[str, str], start: bytes
) -> None:
    head = head_of("POST", "/v1/items", server.headers | JSON | length)
    async with connected(server.address, count=CLIENTS) as clients, asyncio.TaskGroup() as group:
        for client in clients:
            await client.send(head + start)
            group.create_task(client.dawdle(BODY[:-1], pause_s=0.2))
        await server.demand_the_usual()
        assert [await client.refusal() for client in clients] == [(408, "body-too-slow")] * CLIENTS


async def test_who_stops_in_the_middle_of_a_body_that_nobody_asked_for_is_told_and_cut_off(
    server: Server, process: Process, tenant: TenantRef
) -> None:
    """It is read all the same: the idempotency key stands for it too."""
    made = await item(process, tenant)
    extra = {"Content-Length": "16", "Idempotency-Key": "k1"}
    async with connected(server.address, count=CLIENTS) as clients:
        for client in clients:
            await client.send(head_of("POST", f"/v1/items/{made.id}/restore", server.headers | extra) + BODY[:5])
        await server.demand_the_usual()
        assert [await client.refusal() for client in clients] == [(408, "body-too-slow")] * CLIENTS


async def test_who_stops_in_the_middle_of_an_import_is_told_and_has_done_nothing(
    server: Server, process: Process, tenant: TenantRef
) -> None:
    before = await count_of(process, tenant)
    head = head_of("POST", "/v1/items/import", server.headers | NDJSON | {"Transfer-Encoding": "chunked"})
    async with connected(server.address, count=CLIENTS) as clients:
        for client in clients:
            await client.send(head + b"11\r\n" + BODY + b"\n\r\n")
        await server.demand_the_usual()
        assert [await client.refusal() for client in clients] == [(408, "body-too-slow")] * CLIENTS
    assert await count_of(process, tenant) == before + MADE_MEANWHILE


@pytest.mark.parametrize("sent", [BODY[:5], BODY], ids=["in the middle of its body", "before the answer"])
async def test_who_leaves_holds_nothing(server: Server, sent: bytes) -> None:
    head = head_of("POST", "/v1/items", server.headers | JSON | {"Content-Length": "16"})
    async with connected(server.address, count=CLIENTS) as clients:
        for client in clients:
            await client.send(head + sent)
            client.leave()
        await server.demand_the_usual()


async def test_who_ends_after_its_request_counts_as_gone(server: Server) -> None:
    head = head_of("POST", "/v1/items", server.headers | JSON | {"Content-Length": "16"})
    async with connected(server.address, count=CLIENTS) as clients:
        for client in clients:
            await client.send(head + BODY)
            client.end()
        await server.demand_the_usual()


async def test_who_leaves_in_the_middle_of_an_export_holds_nothing(server: Server, long: None) -> None:
    async with connected(server.address, count=CLIENTS, small=True) as clients:
        for client in clients:
            await client.send(head_of("GET", "/v1/items/export", server.headers))
            await client.head()
            client.leave()
        await server.demand_the_usual()


@pytest.mark.parametrize("path", ["/v1/items/export", "/v1/items?limit=100"])
async def test_who_does_not_read_its_answer_holds_nothing_and_is_cut_off(server: Server, long: None, path: str) -> None:
    async with connected(server.address, count=CLIENTS, small=True) as clients:
        for client in clients:
            # Several answers on one connection, for a page alone is kept by the two kernels.
            await client.send(head_of("GET", path, server.headers) * 10)
            assert (await client.head()).startswith("HTTP/1.1 200 OK\r\n")
        await server.demand_the_usual()
        assert [(await client.rest()).endswith(END) for client in clients] == [False] * CLIENTS


async def test_who_ends_in_the_middle_of_a_body_is_told(server: Server) -> None:
    head = head_of("POST", "/v1/items", server.headers | JSON | {"Content-Length": "16"})
    async with connected(server.address) as (client,):
        await client.send(head + BODY[:5])
        client.end()
        assert await client.refusal() == (400, "body-cut-off")


async def test_what_is_no_chunk_is_refused(server: Server) -> None:
    head = head_of("POST", "/v1/items", server.headers | JSON | {"Transfer-Encoding": "chunked"})
    async with connected(server.address) as (client,):
        await client.send(head + b"no length\r\n")
        assert await client.refusal() == (400, "body-cut-off")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/items?q=" + "x" * 70_000, {}, 414),
        ("/v1/items", {"X-Long": "x" * 200_000}, 431),
        ("/v1/items", {f"X-{number}": "x" for number in range(100)}, 431),
        ("/v1/items", {"Content-Length": "-1"}, 400),
        ("/v1/items", {"Content-Length": "9" * 30}, 400),
        ("/v1/items", {"Transfer-Encoding": "gzip"}, 400),
    ],
)
async def test_a_head_that_is_too_large_or_none_is_refused_and_its_connection_closed(
    server: Server, path: str, headers: dict[str, str], status: int
) -> None:
    async with connected(server.address) as (client,):
        await client.send(head_of("POST", path, server.headers | headers))
        assert await client.refusal() == (status, "")


@pytest.mark.parametrize("length", [{"Content-Length": "2000000"}, {"Transfer-Encoding": "chunked"}])
async def test_a_body_that_is_too_large_is_refused_while_it_is_sent(server: Server, length: dict[str, str]) -> None:
    async with connected(server.address) as (client,):
        await client.send(head_of("POST", "/v1/items", server.headers | JSON | length))
        if "Transfer-Encoding" in length:
            await client.send(b"100001\r\n" + b" " * (2**20 + 1))
        assert await client.refusal() == (413, "body-too-large")
