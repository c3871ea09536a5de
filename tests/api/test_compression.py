"""Large answers are compressed for whoever reads gzip; what they say is the same."""

import gzip
import json

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.factories import bearer, item

TEXT = "A text that is told again and again. " * 20


async def _fill(process: Process, tenant: TenantRef, items: int) -> None:
    async with open_tenant_session(process.database, tenant) as session:
        for number in range(items):
            await ItemService(session=session).add(ItemCreate(f"{tenant.slug} {number}", description=TEXT))


async def _raw(http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> tuple[httpx.Headers, bytes]:
    async with http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        return answer.headers, b"".join([part async for part in answer.aiter_raw()])


@pytest.mark.parametrize("path", ["/v1/items?limit=50", "/v1/items/export", "/openapi.json"])
async def test_a_large_answer_is_smaller_for_who_reads_gzip(
    app: object, process: Process, settings: object, acme: TenantRef, globex: TenantRef, path: str
) -> None:
    await _fill(process, acme, 30)
    await _fill(process, globex, 30)
    transport = httpx.ASGITransport(app)  # pyright: ignore[reportArgumentType]
    async with httpx.AsyncClient(transport=transport, base_url="https://leasehold.test") as http:
        for tenant in (acme, globex):
            token = await bearer(process, tenant)
            plain_headers, plain = await _raw(http, path, token | {"Accept-Encoding": "identity"})
            headers, body = await _raw(http, path, token | {"Accept-Encoding": "br, gzip"})
            assert gzip.decompress(body) == plain
            assert len(body) < len(plain) / 4
            assert headers["content-encoding"] == "gzip"
            assert headers["content-type"] == plain_headers["content-type"]
            assert "content-encoding" not in plain_headers
            assert headers["vary"] == plain_headers["vary"] == "accept-encoding"
            for told, sent in ((headers, body), (plain_headers, plain)):
                assert int(told.get("content-length", len(sent))) == len(sent)


async def test_a_small_answer_is_sent_as_it_is(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    await item(process, acme, "Desk")
    answer = await http.get("/v1/items", headers=await bearer(process, acme) | {"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert not {"content-encoding", "vary"} & set(answer.headers)


async def test_an_answer_with_an_entity_tag_is_sent_as_it_is(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme) | {"Accept-Encoding": "gzip"}
    long = {"title": "Desk", "description": "word " * 1900}
    made = await http.post("/v1/items", headers=headers, json=long)
    answer = await http.get(f"/v1/items/{made.json()['id']}", headers=headers)
    assert len(answer.content) > 8 * 1024
    assert "content-encoding" not in answer.headers
    etag = answer.headers["etag"]
    changed = await http.patch(
        f"/v1/items/{made.json()['id']}", headers=headers | {"If-Match": etag}, json={"title": "Chair"}
    )
    assert (changed.status_code, json.loads(changed.content)["title"]) == (200, "Chair")
