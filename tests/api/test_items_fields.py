"""What the fields of an item may be, and what null means to a merge patch (RFC 7396)."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import pointers_of, refusal_of
from tests.factories import bearer, item, new_slug
from tests.locks import WAITING
from tests.people import user

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


async def owner_of(process: Process, tenant: TenantRef) -> str:
    return str((await user(process, tenant, f"{new_slug()}@acme.example", "member")).id)


async def disable(process: Process, tenant: TenantRef, user_id: str) -> None:
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(text("UPDATE users SET is_active = false WHERE id = :id"), {"id": user_id})


async def test_null_takes_a_value_away_and_what_is_absent_stays(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, owner = await bearer(process, acme), await owner_of(process, acme)
    body = {"title": "Desk", "description": "Oak", "status": "done", "owner_id": owner, "tags": ["oak"]}
    made = (await http.post("/v1/items", headers=headers, json=body)).json()
    assert {name: made[name] for name in body} == body
    address = f"/v1/items/{made['id']}"
    kept = (await http.patch(address, headers=headers, json={"title": "Table"})).json()
    assert {name: kept[name] for name in body} == body | {"title": "Table"}
    taken = (await http.patch(address, headers=headers, json={"description": None, "owner_id": None})).json()
    assert {name: taken[name] for name in body} == body | {"title": "Table", "description": "", "owner_id": None}
    assert (await http.patch(address, headers=headers, json={"tags": None})).json()["tags"] == []
    assert (await http.get(address, headers=headers)).json()["version"] == 4


async def test_a_patch_may_call_itself_a_merge_patch_and_nothing_else_may(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    address = f"/v1/items/{(await item(process, acme)).id}"
    changed = await http.patch(address, headers=headers | MERGE_PATCH, content=b'{"title": "Table"}')
    assert changed.json()["title"] == "Table"
    refused = await http.post("/v1/items", headers=headers | MERGE_PATCH, content=b'{"title": "Table"}')
    assert refusal_of(refused) == (415, "unsupported-media-type")
    for kind in ("application/json-patch+json", "text/plain", "application/merge-patch+json2"):
        refused = await http.patch(address, headers=headers | {"Content-Type": kind}, content=b"{}")
        assert refusal_of(refused) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"title": None}, ["/title"]),
        ({"status": None}, ["/status"]),
        ({"status": "closed"}, ["/status"]),
        ({"owner_id": "me"}, ["/owner_id"]),
        ({"tags": "oak"}, ["/tags"]),
        ({"tags": ["oak", 1]}, ["/tags/1"]),
        ({"tags": ["oak", ""]}, ["/tags/1"]),
        ({"tags": [" \t", "oak", "\u00a0"]}, ["/tags/0", "/tags/2"]),
        ({"tags": ["a\0b"]}, ["/tags/0"]),
        ({"tags": ["x" * 51]}, ["/tags/0"]),
        ({"tags": ["\u0130" * 50]}, ["/tags/0"]),
        ({"tags": [f"tag {number}" for number in range(21)]}, ["/tags"]),
        ({"version": 7}, ["/version"]),
        ({"deleted_at": None}, ["/deleted_at"]),
    ],
)
async def test_what_a_field_may_not_be_is_pointed_at_and_the_item_stays(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, body: object, pointers: list[str]
) -> None:
    headers, row = await bearer(process, acme), await item(process, acme)
    refused = await http.patch(f"/v1/items/{row.id}", headers=headers, json=body)
    assert refusal_of(refused) == (422, "validation-failed")
    assert pointers_of(refused) == pointers
    assert (await http.get(f"/v1/items/{row.id}", headers=headers)).json()["version"] == 1


@pytest.mark.parametrize(
    "body", [b'{"title": "\\ud800"}', b'{"title": "\xff"}', b'{"tags": ["\\udfff"]}', b"[1", b"NaN"]
)
async def test_what_is_no_text_or_no_json_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, body: bytes
) -> None:
    headers = await bearer(process, acme) | MERGE_PATCH
    refused = await http.patch(f"/v1/items/{(await item(process, acme)).id}", headers=headers, content=body)
    assert refusal_of(refused) in {(400, "bad-request"), (422, "validation-failed")}


async def test_tags_are_written_in_one_way_and_each_once(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    tags = ["  Oak ", "oak", "Home\t Office", "CAFE\u0301", "caf\u00e9", "\U0001f600"]
    made = await http.post("/v1/items", headers=await bearer(process, acme), json={"title": "Desk", "tags": tags})
    assert made.json()["tags"] == ["oak", "home office", "caf\u00e9", "\U0001f600"]


async def test_an_owner_must_be_an_active_user_of_the_tenant(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, row = await bearer(process, acme), await item(process, acme)
    foreign, disabled = await owner_of(process, globex), await owner_of(process, acme)
    await disable(process, acme, disabled)
    for owner in (foreign, disabled, "0198c5f2-0000-7000-8000-000000000000"):
        for refused in (
            await http.post("/v1/items", headers=headers, json={"title": "Desk", "owner_id": owner}),
            await http.patch(f"/v1/items/{row.id}", headers=headers, json={"owner_id": owner}),
        ):
            assert refusal_of(refused) == (422, "invalid-owner")
            assert pointers_of(refused) == ["/owner_id"]


async def test_an_item_keeps_an_owner_who_is_disabled_and_loses_one_who_is_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, owner = await bearer(process, acme), await owner_of(process, acme)
    made = await http.post("/v1/items", headers=headers, json={"title": "Desk", "owner_id": owner})
    address = f"/v1/items/{made.json()['id']}"
    await disable(process, acme, owner)
    kept = await http.patch(address, headers=headers, json={"title": "Table", "owner_id": owner})
    assert (kept.status_code, kept.json()["owner_id"]) == (200, owner)
    assert (await http.delete(f"/v1/users/{owner}", headers=headers)).status_code == 204
    left = await http.get(address, headers=headers)
    assert left.json()["owner_id"] is None
    assert left.headers["etag"] != kept.headers["etag"]


@pytest.mark.not_pooled("holds two transactions at once")
async def test_an_owner_who_is_deleted_at_the_same_moment_is_no_owner(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, owner = await bearer(process, acme), await owner_of(process, acme)
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text("DELETE FROM users WHERE id = :id"), {"id": owner})
        asked = asyncio.create_task(http.post("/v1/items", headers=headers, json={"title": "Desk", "owner_id": owner}))
        async with asyncio.timeout(30):
            while not await session.scalar(text(WAITING)):
                await asyncio.sleep(0.01)
    assert refusal_of(await asked) == (422, "invalid-owner")
    assert (await http.get("/v1/items", headers=headers)).json()["items"] == []
