"""Imports and exports of two tenants at once: no line of one is ever another's."""

import asyncio

import httpx
import msgspec

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer

ROWS = 2500
NDJSON = {"Content-Type": "application/x-ndjson"}


async def test_what_two_tenants_send_and_fetch_at_once_stays_apart(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = {tenant.slug: await bearer(process, tenant) for tenant in (acme, globex)}

    async def sent(slug: str) -> httpx.Response:
        lines = b"".join(msgspec.json.encode({"title": f"{slug} {number}"}) + b"\n" for number in range(ROWS))
        return await http.post("/v1/items/import", headers=headers[slug] | NDJSON, content=lines)

    async def fetched(slug: str) -> list[str]:
        answer = await http.get("/v1/items/export", headers=headers[slug])
        return [msgspec.json.decode(line)["title"] for line in answer.content.splitlines()]

    slugs = [acme.slug, globex.slug]
    assert [each.json() for each in await asyncio.gather(*map(sent, slugs))] == [{"imported": ROWS}] * 2
    for slug, titles in zip(slugs * 3, await asyncio.gather(*map(fetched, slugs * 3)), strict=True):
        assert sorted(titles) == sorted(f"{slug} {number}" for number in range(ROWS))


async def test_a_tag_of_another_tenants_item_opens_nothing(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    made = [await http.post("/v1/items", headers=headers, json={"title": "Desk"}) for headers in (ours, theirs)]
    tag, address = made[1].headers["etag"], f"/v1/items/{made[1].json()['id']}"
    for condition in ("If-Match", "If-None-Match"):
        assert (await http.get(address, headers=ours | {condition: tag})).status_code == 404
        patched = await http.patch(address, headers=ours | {condition: tag}, json={"title": "Mine"})
        assert patched.status_code == 404
