"""An item that is deleted is gone for all, but for who restores it."""

import asyncio

import httpx

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import bearer, item


async def test_a_deleted_item_is_not_there_and_comes_back_as_it_was(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, row, other = await bearer(process, acme), await item(process, acme), await item(process, acme, "Chair")
    address = f"/v1/items/{row.id}"
    assert (await http.delete(address, headers=headers)).status_code == 204
    for refused in (
        await http.get(address, headers=headers),
        await http.patch(address, headers=headers, json={"title": "Table"}),
        await http.delete(address, headers=headers),
    ):
        assert refusal_of(refused) == (404, "not-found")
    assert [each["id"] for each in (await http.get("/v1/items", headers=headers)).json()["items"]] == [str(other.id)]
    assert str(row.id) not in (await http.get("/v1/items/export", headers=headers)).text
    restored = await http.post(f"{address}/restore", headers=headers)
    assert restored.status_code == 200
    assert (restored.json()["title"], restored.json()["version"]) == ("Desk", 3)
    assert (await http.get(address, headers=headers)).json() == restored.json()


async def test_restoring_what_is_not_deleted_changes_nothing(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, row = await bearer(process, acme), await item(process, acme)
    before = await http.get(f"/v1/items/{row.id}", headers=headers)
    restored = await http.post(f"/v1/items/{row.id}/restore", headers=headers)
    assert (restored.status_code, restored.json()) == (200, before.json())
    assert restored.headers["etag"] == before.headers["etag"]


async def test_what_another_tenant_has_deleted_cannot_be_restored(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    row = await item(process, globex)
    theirs = await bearer(process, globex)
    assert (await http.delete(f"/v1/items/{row.id}", headers=theirs)).status_code == 204
    refused = await http.post(f"/v1/items/{row.id}/restore", headers=await bearer(process, acme))
    assert refusal_of(refused) == (404, "not-found")
    assert (await http.get(f"/v1/items/{row.id}", headers=theirs)).status_code == 404


async def test_a_restoring_with_a_key_is_answered_again_with_its_etag(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, row = await bearer(process, acme), await item(process, acme)
    address = f"/v1/items/{row.id}"
    await http.delete(address, headers=headers)
    first = await http.post(f"{address}/restore", headers=headers | {"Idempotency-Key": "once"})
    await http.delete(address, headers=headers)
    again = await http.post(f"{address}/restore", headers=headers | {"Idempotency-Key": "once"})
    assert (again.json(), again.headers["etag"]) == (first.json(), first.headers["etag"])
    assert again.headers["idempotent-replayed"] == "true"
    assert (await http.get(address, headers=headers)).status_code == 404


async def test_a_patch_and_a_restoring_at_once_leave_one_item_and_lose_nothing(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    for _ in range(10):
        row = await item(process, acme)
        address = f"/v1/items/{row.id}"
        await http.delete(address, headers=headers)
        restored, patched = await asyncio.gather(
            http.post(f"{address}/restore", headers=headers),
            http.patch(address, headers=headers, json={"title": "Table"}),
        )
        assert restored.status_code == 200
        now = (await http.get(address, headers=headers)).json()
        was_patched = patched.status_code == 200
        assert was_patched or refusal_of(patched) == (404, "not-found")
        assert (now["title"], now["version"]) == (("Table", 4) if was_patched else ("Desk", 3))
