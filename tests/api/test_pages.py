"""Lists in pages: every row once and in order, and no cursor of elsewhere."""

from typing import Any

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import pointers_of, refusal_of
from tests.factories import bearer, item


async def pages_of(
    http: httpx.AsyncClient, path: str, headers: dict[str, str], *, limit: int
) -> list[list[dict[str, Any]]]:
    pages: list[list[dict[str, Any]]] = []
    cursor: str | None = None
    while True:
        query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        page = (await http.get(path, headers=headers, params=query)).json()
        assert set(page) == {"items", "next_cursor", "has_more"}
        assert page["has_more"] == (page["next_cursor"] is not None)
        pages.append(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return pages


async def cursor_of(http: httpx.AsyncClient, process: Process, tenant: TenantRef) -> str:
    for title in ("One", "Two"):
        await item(process, tenant, title)
    page = await http.get("/v1/items?limit=1", headers=await bearer(process, tenant))
    return str(page.json()["next_cursor"])


async def test_all_pages_together_show_every_item_once_in_the_order_they_were_made(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours = [f"Ours {number}" for number in range(7)]
    for title in ours:
        await item(process, acme, title)
        await item(process, globex, "Theirs")
    headers = await bearer(process, acme)
    pages = await pages_of(http, "/v1/items", headers, limit=3)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [row["title"] for page in pages for row in page] == ours
    assert [len(page) for page in await pages_of(http, "/v1/items", headers, limit=7)] == [7]


async def test_a_row_that_comes_between_two_pages_moves_none_of_the_others(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for title in ("One", "Two", "Three"):
        await item(process, acme, title)
        await item(process, globex, title)
    headers = await bearer(process, acme)
    first = (await http.get("/v1/items?limit=2", headers=headers)).json()
    await http.delete(f"/v1/items/{first['items'][0]['id']}", headers=headers)
    await item(process, acme, "Four")
    rest = (await http.get("/v1/items", headers=headers, params={"cursor": first["next_cursor"]})).json()
    assert [row["title"] for row in rest["items"]] == ["Three", "Four"]
    assert len((await http.get("/v1/items", headers=await bearer(process, globex))).json()["items"]) == 3


async def test_a_page_has_twenty_rows_unless_asked_otherwise(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for _ in range(21):
        await item(process, acme)
    assert len((await http.get("/v1/items", headers=await bearer(process, acme))).json()["items"]) == 20
    assert (await http.get("/v1/items", headers=await bearer(process, globex))).json() == {
        "items": [],
        "next_cursor": None,
        "has_more": False,
    }


async def test_users_come_in_pages_too(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    emails = [f"user{number}@acme.example" for number in range(3)]
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        for email in emails:
            await http.post("/v1/users", headers=headers, json={"email": email})
        pages = await pages_of(http, "/v1/users", headers, limit=2)
        assert [row["email"] for page in pages for row in page] == emails


async def test_a_cursor_of_another_tenant_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    cursor = await cursor_of(http, process, globex)
    refused = await http.get("/v1/items", headers=await bearer(process, acme), params={"cursor": cursor})
    assert refusal_of(refused) == (422, "invalid-cursor")
    assert pointers_of(refused) == ["?cursor"]


async def test_a_cursor_of_another_list_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        cursor = await cursor_of(http, process, tenant)
        refused = await http.get("/v1/users", headers=await bearer(process, tenant), params={"cursor": cursor})
        assert refusal_of(refused) == (422, "invalid-cursor")


async def test_an_altered_cursor_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        cursor = await cursor_of(http, process, tenant)
        other_letter = "B" if cursor[0] == "A" else "A"
        headers = await bearer(process, tenant)
        for altered in (other_letter + cursor[1:], cursor[:-4], cursor + "AAAA", "", "é", "%00", "=", "a" * 200):
            refused = await http.get("/v1/items", headers=headers, params={"cursor": altered})
            assert refusal_of(refused) == (422, "invalid-cursor"), altered
            assert pointers_of(refused) == ["?cursor"]


async def test_a_cursor_beyond_all_length_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        refused = await http.get("/v1/items", headers=await bearer(process, tenant), params={"cursor": "a" * 201})
        assert refused.status_code == 422
        assert pointers_of(refused) == ["?cursor"]


@pytest.mark.parametrize("limit", ["0", "-1", "101", "abc", "", "1.5", "99999999999999999999"])
async def test_a_limit_outside_1_to_100_is_pointed_at(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, limit: str
) -> None:
    for tenant in (acme, globex):
        refused = await http.get("/v1/items", headers=await bearer(process, tenant), params={"limit": limit})
        assert refusal_of(refused) == (422, "validation-failed")
        assert pointers_of(refused) == ["?limit"]


@pytest.mark.parametrize("limit", ["1", "100"])
async def test_the_ends_of_the_range_are_limits(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, limit: str
) -> None:
    for tenant in (acme, globex):
        answer = await http.get("/v1/items", headers=await bearer(process, tenant), params={"limit": limit})
        assert answer.status_code == 200
