"""Items over HTTP, always with two tenants."""

import dataclasses

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import on, pointers_of, refusal_of
from tests.factories import bearer, item


async def test_an_item_is_made_read_changed_and_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    bystander = await item(process, globex)
    headers = await bearer(process, acme)
    made = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
    assert made.status_code == 201
    address = f"/v1/items/{made.json()['id']}"
    assert (await http.get(address, headers=headers)).json()["title"] == "Desk"
    changed = await http.patch(address, headers=headers, json={"description": "Oak"})
    assert (changed.json()["title"], changed.json()["description"]) == ("Desk", "Oak")
    assert (await http.delete(address, headers=headers)).status_code == 204
    assert (await http.get(address, headers=headers)).status_code == 404
    untouched = await http.get(f"/v1/items/{bystander.id}", headers=await bearer(process, globex))
    assert (untouched.json()["title"], untouched.json()["description"]) == ("Desk", "")


async def test_two_tenants_see_their_own_items_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    own, foreign = await item(process, acme, "Ours"), await item(process, globex, "Theirs")
    headers = await bearer(process, acme)
    listed = (await http.get("/v1/items", headers=headers)).json()
    assert [row["id"] for row in listed["items"]] == [str(own.id)]
    assert (await http.get(f"/v1/items/{foreign.id}", headers=headers)).status_code == 404


async def test_an_item_of_another_tenant_can_be_neither_changed_nor_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    foreign = await item(process, globex, "Theirs")
    headers = await bearer(process, acme)
    address = f"/v1/items/{foreign.id}"
    assert refusal_of(await http.patch(address, headers=headers, json={"title": "Mine"})) == (404, "not-found")
    assert refusal_of(await http.delete(address, headers=headers)) == (404, "not-found")
    kept = await http.get(address, headers=await bearer(process, globex))
    assert kept.json()["title"] == "Theirs"


async def test_an_item_has_exactly_its_documented_fields_and_times_in_utc(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        made = (await http.post("/v1/items", headers=headers, json={"title": "Desk", "description": "Oak"})).json()
        fields = {"id", "title", "description", "status", "owner_id", "tags", "version", "created_at", "updated_at"}
        assert set(made) == fields
        assert (made["status"], made["owner_id"], made["tags"], made["version"]) == ("open", None, [], 1)
        assert made["created_at"].endswith("Z")
        assert (await http.get(f"/v1/items/{made['id']}", headers=headers)).json() == made


async def test_a_change_moves_updated_at_and_leaves_created_at(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    row, other = await item(process, acme), await item(process, globex)
    headers = await bearer(process, acme)
    before = (await http.get(f"/v1/items/{row.id}", headers=headers)).json()
    after = (await http.patch(f"/v1/items/{row.id}", headers=headers, json={"title": "Table"})).json()
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]
    kept = (await http.get(f"/v1/items/{other.id}", headers=await bearer(process, globex))).json()
    assert kept["updated_at"] == other.updated_at.isoformat().replace("+00:00", "Z")


async def test_an_empty_change_changes_nothing(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        row, headers = await item(process, tenant), await bearer(process, tenant)
        changed = await http.patch(f"/v1/items/{row.id}", headers=headers, json={})
        assert changed.status_code == 200
        assert (changed.json()["title"], changed.json()["description"]) == ("Desk", "")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/title"]),
        ({"title": ""}, ["/title"]),
        ({"title": "x" * 201}, ["/title"]),
        ({"title": None}, ["/title"]),
        ({"title": 7}, ["/title"]),
        ({"title": "Desk", "description": "x" * 10_001}, ["/description"]),
        ({"title": "Desk", "price": 1}, ["/price"]),
        ({"title": "a\0b"}, ["/title"]),
        ({"title": 7, "description": [], "price": 1, "a/b~c": 2}, ["/a~1b~0c", "/description", "/price", "/title"]),
        ({"description": False, "price": 1}, ["/description", "/price", "/title"]),
        ([], [""]),
        ("Desk", [""]),
        (None, [""]),
    ],
)
async def test_every_fault_of_a_new_item_is_pointed_at_in_one_answer(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, body: object, pointers: list[str]
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        refused = await http.post("/v1/items", headers=headers, json=body)
        assert refusal_of(refused) == (422, "validation-failed")
        assert pointers_of(refused) == pointers
        assert (await http.get("/v1/items", headers=headers)).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"title": None}, ["/title"]),
        ({"title": ""}, ["/title"]),
        ({"description": "a\0b"}, ["/description"]),
        ({"id": "0198c5f2-0000-7000-8000-000000000000"}, ["/id"]),
        ({"title": 1, "description": 2}, ["/description", "/title"]),
    ],
)
async def test_every_fault_of_a_change_is_pointed_at_and_the_item_stays(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, body: object, pointers: list[str]
) -> None:
    for tenant in (acme, globex):
        row, headers = await item(process, tenant), await bearer(process, tenant)
        refused = await http.patch(f"/v1/items/{row.id}", headers=headers, json=body)
        assert refusal_of(refused) == (422, "validation-failed")
        assert pointers_of(refused) == pointers
        kept = (await http.get(f"/v1/items/{row.id}", headers=headers)).json()
        assert (kept["title"], kept["description"]) == ("Desk", "")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "item_id", ["1", "not-a-uuid", "0198c5f2-0000-7000-8000-00000000000", "0198c5f2-0000-7000-8000-000000000000"]
)
async def test_an_id_that_is_none_or_unknown_is_404(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, method: str, item_id: str
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        body = {"title": "Table"} if method == "PATCH" else None
        refused = await http.request(method, on(tenant.slug, f"/v1/items/{item_id}"), headers=headers, json=body)
        assert refusal_of(refused) == (404, "not-found")


async def test_text_in_any_script_comes_back_as_it_went_in(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    title = "Schreibtisch 😀 \u202emirrored\u202c 'quoted' \"; DROP TABLE items; --"
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        made = (await http.post("/v1/items", headers=headers, json={"title": title})).json()
        assert (await http.get(f"/v1/items/{made['id']}", headers=headers)).json()["title"] == title


async def test_a_tenant_whose_schema_is_too_new_for_this_code_is_asked_to_wait(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    made = await item(process, acme)
    headers = await bearer(process, acme)
    process.directory.put(dataclasses.replace(acme, revision="feedc0de", served_by="ffffffff"))
    refused = await http.get(f"/v1/items/{made.id}", headers=headers)
    assert refusal_of(refused) == (503, "tenant-not-migrated")
    assert refused.headers["retry-after"] == "30"
    assert (await http.get("/v1/items", headers=await bearer(process, globex))).status_code == 200
    process.directory.put(dataclasses.replace(acme, revision="feedc0de", served_by=acme.revision))
    assert (await http.get(f"/v1/items/{made.id}", headers=headers)).status_code == 200
    process.directory.put(acme)
