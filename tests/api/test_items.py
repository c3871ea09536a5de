"""Items over HTTP, always with two tenants."""

import httpx

from leasehold.http.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer, item


async def test_an_item_is_made_read_changed_and_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    made = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
    assert made.status_code == 201
    address = f"/v1/items/{made.json()['id']}"
    assert (await http.get(address, headers=headers)).json()["title"] == "Desk"
    changed = await http.patch(address, headers=headers, json={"description": "Oak"})
    assert (changed.json()["title"], changed.json()["description"]) == ("Desk", "Oak")
    assert (await http.delete(address, headers=headers)).status_code == 204
    assert (await http.get(address, headers=headers)).status_code == 404


async def test_two_tenants_see_their_own_items_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    own, foreign = await item(process, acme, "Ours"), await item(process, globex, "Theirs")
    headers = await bearer(process, acme)
    listed = (await http.get("/v1/items", headers=headers)).json()
    assert [row["id"] for row in listed["items"]] == [str(own.id)]
    assert (await http.get(f"/v1/items/{foreign.id}", headers=headers)).status_code == 404
