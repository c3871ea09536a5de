"""100,000 items go in and out of a server whose memory stays flat, and a client that goes away frees its connection."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.test_items_import import NDJSON, count_of
from tests.factories import bearer
from tests.faults.serving import measured, served

ROWS = 100_000
LINE = b'{"title": "Desk", "description": "Oak, 140 cm wide, with two drawers", "tags": ["oak", "office"]}\n'
WITHIN_S = 120


async def lines(rows: int) -> AsyncIterator[bytes]:
    for _ in range(0, rows, 500):
        yield LINE * 500


async def test_a_hundred_thousand_items_go_in_and_out_in_flat_memory(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    async with (
        measured(settings) as (address, memory),
        httpx.AsyncClient(base_url=address, timeout=WITHIN_S, headers=await bearer(process, acme)) as client,
    ):

        async def taken(rows: int) -> None:
            answer = await client.post("/v1/items/import", headers=NDJSON, content=lines(rows))
            assert (answer.status_code, answer.json()) == (200, {"imported": rows})

        async def given() -> tuple[int, int]:
            count, size = 0, 0
            async with client.stream("GET", "/v1/items/export") as answer:
                async for part in answer.aiter_bytes():
                    count, size = count + part.count(b"\n"), size + len(part)
            return count, size

        await taken(2000)
        await given()
        memory.forget_peak()
        before, began = memory.peak_mib(), time.monotonic()
        await taken(ROWS)
        after_import = memory.peak_mib()
        count, size = await given()
        after_export = memory.peak_mib()
        assert count == ROWS + 2000
        assert size > 25 * 2**20
        assert after_import - before < 15
        assert after_export - before < 15
        assert time.monotonic() - began < WITHIN_S


async def test_a_client_that_goes_away_in_the_middle_of_an_import_leaves_nothing(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    async with served(settings, pool_size="2", pool_timeout_s="30") as address:
        host, port = address.removeprefix("http://").split(":")
        head = "POST /v1/items/import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in (headers | NDJSON).items()) + "\r\n"
        for _ in range(5):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.replace("Host: x", "Host: leasehold.test").encode())
            writer.write(b"%x\r\n%b\r\n" % (len(LINE) * 500, LINE * 500))
            await writer.drain()
            writer.transport.abort()
        async with httpx.AsyncClient(base_url=address, timeout=60, headers=headers) as client:
            # With one connection for all that write: it would not come back from a request that holds it.
            answers = [await client.post("/v1/items", json={"title": "Desk"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201] * 3
    assert await count_of(process, acme) == 3
