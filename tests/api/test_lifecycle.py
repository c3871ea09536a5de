"""The states of a tenant: who may follow whom, what its clients get in each, and that all of it comes back."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantInMaintenance, TenantRef
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.api.problems import on, pointers_of, problem_of, refusal_of
from tests.factories import OPERATOR, admin, api_client, api_key, bearer, item
from tests.people import headers_of, logged_in, user

TENANTS = "/platform/v1/tenants"


async def _move(
    http: httpx.AsyncClient, root: dict[str, str], tenant: TenantRef, method: str, path: str, body: Any = None
) -> httpx.Response:
    return await http.request(method, f"{TENANTS}/{tenant.id}{path}", headers=root, json=body)


MOVES: dict[str, tuple[str, str, Any]] = {
    "suspend": ("PUT", "/suspension", None),
    "resume": ("DELETE", "/suspension", None),
    "maintain": ("PUT", "/maintenance", {}),
    "end": ("DELETE", "/maintenance", None),
    "delete": ("DELETE", "", None),
    "restore": ("POST", "/restore", None),
}
COMES_TO = {
    "active": {"suspend": "suspended", "resume": "active", "maintain": "maintenance", "end": "active", "delete": ""},
    "suspended": {"suspend": "suspended", "resume": "active", "delete": ""},
    "maintenance": {"maintain": "maintenance", "end": "active", "delete": ""},
    "deleted": {"restore": "active"},
}
WAY_TO = {"active": None, "suspended": "suspend", "maintenance": "maintain", "deleted": "delete"}


@pytest.mark.parametrize("state", COMES_TO)
@pytest.mark.parametrize("move", MOVES)
async def test_from_each_state_only_the_next_ones_can_be_reached(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, state: str, move: str
) -> None:
    root = await admin(process)
    if way := WAY_TO[state]:
        assert (await _move(http, root, acme, *MOVES[way])).is_success
    answer = await _move(http, root, acme, *MOVES[move])
    expected = COMES_TO[state].get(move)
    shown = (await http.get(f"{TENANTS}/{acme.id}", headers=root)).json()
    if expected is None:
        assert refusal_of(answer) == (409, "wrong-state")
        assert shown["state"] == state
    else:
        assert answer.is_success
        assert shown["state"] == (expected or "deleted")
    assert (await http.get(f"{TENANTS}/{globex.id}", headers=root)).json()["state"] == "active"


async def test_of_two_admins_who_want_one_state_each_one_wins_and_the_other_learns_of_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    root = await admin(process)
    for _ in range(5):
        answers = await asyncio.gather(
            _move(http, root, acme, *MOVES["suspend"]), _move(http, root, acme, *MOVES["maintain"])
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        (won,) = [answer.json()["state"] for answer in answers if answer.is_success]
        back = "resume" if won == "suspended" else "end"
        assert (await _move(http, root, acme, *MOVES[back])).json()["state"] == "active"
    deletions = await asyncio.gather(*(_move(http, root, acme, *MOVES["delete"]) for _ in range(2)))
    assert sorted(answer.status_code for answer in deletions) == [204, 409]


async def test_a_tenant_in_maintenance_answers_503_and_says_when_to_come_back(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    root, ours = await admin(process), await bearer(process, acme)
    await _move(http, root, acme, *MOVES["maintain"])
    refused = await http.get("/v1/items", headers=ours)
    assert refusal_of(refused) == (503, "tenant-maintenance")
    assert refused.headers["retry-after"] == "60"
    ends_at = datetime.now(UTC) + timedelta(seconds=600)
    begun = await _move(http, root, acme, "PUT", "/maintenance", {"ends_at": ends_at.isoformat()})
    assert datetime.fromisoformat(begun.json()["maintenance_ends_at"]) == ends_at
    refused = await http.post(on(acme.slug, "/oauth/token"), data={"grant_type": "client_credentials"})
    assert refusal_of(refused) == (503, "tenant-maintenance")
    assert 500 < int(refused.headers["retry-after"]) <= 600
    await _move(http, root, acme, "PUT", "/maintenance", {"ends_at": "2020-01-01T00:00:00Z"})
    assert (await http.get("/v1/items", headers=ours)).headers["retry-after"] == "1"
    assert (await http.get("/v1/items", headers=await bearer(process, globex))).status_code == 200
    ended = await _move(http, root, acme, *MOVES["end"])
    assert (ended.json()["is_read_only"], ended.json()["maintenance_ends_at"]) == (False, None)
    assert (await http.get("/v1/items", headers=ours)).status_code == 200


async def test_a_tenant_in_maintenance_can_be_read_where_that_is_wanted_and_changed_by_nobody(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    root, ours = await admin(process), await bearer(process, acme)
    client = await api_client(process, acme)
    key = {"Authorization": f"Bearer {(await api_key(process, acme)).key}"}
    kept = await item(process, acme, "Kept")
    await user(process, acme)
    tokens = await logged_in(http, acme)
    await _move(http, root, acme, "PUT", "/maintenance", {"is_read_only": True})
    for headers in (ours, key, headers_of(tokens)):
        listed = await http.get("/v1/items", headers=headers)
        assert [row["id"] for row in listed.json()["items"]] == [str(kept.id)]
    form = {"grant_type": "client_credentials", "client_id": str(client.client_id)}
    issued = await http.post(on(acme.slug, "/oauth/token"), data=form | {"client_secret": client.client_secret})
    assert issued.status_code == 200
    fresh = {"Authorization": f"Bearer {issued.json()['access_token']}"}
    assert (await http.get(f"/v1/items/{kept.id}", headers=fresh)).status_code == 200
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for refused in (
        await http.post("/v1/items", headers=ours, json={"title": "New"}),
        await http.patch(f"/v1/items/{kept.id}", headers=ours, json={"title": "Other"}),
        await http.delete(f"/v1/items/{kept.id}", headers=key),
        await http.post(on(acme.slug, "/v1/auth/login"), json={"email": "sam@acme.example", "password": "x" * 9}),
        await http.post("/v1/auth/logout", headers=headers_of(tokens)),
    ):
        assert refusal_of(refused) == (503, "tenant-maintenance")
        assert problem_of(refused)["detail"] == "This tenant is in maintenance; it can be read and not changed."
        assert refused.headers["retry-after"] == "60"
    assert (await http.post(on(acme.slug, "/oauth/token"), data=refresh)).status_code == 503
    assert (await http.post("/v1/items", headers=await bearer(process, globex), json={"title": "A"})).status_code == 201
    await _move(http, root, acme, *MOVES["end"])
    listed = (await http.get("/v1/items", headers=ours)).json()["items"]
    assert [(row["id"], row["title"]) for row in listed] == [(str(kept.id), "Kept")]
    assert (await http.post(on(acme.slug, "/oauth/token"), data=refresh)).status_code == 200


async def test_what_gets_past_the_gate_of_a_tenant_that_can_only_be_read_is_refused_by_postgresql(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    await _move(http, await admin(process), acme, "PUT", "/maintenance", {"is_read_only": True})
    found = process.directory.by_id(acme.id)
    assert found is not None
    with pytest.raises(TenantInMaintenance):
        async with open_tenant_session(process.database, found) as session:
            await ItemService(session=session).add(ItemCreate("Past the gate"))
    # The connection that was bound so serves the others as ever.
    for _ in range(8):
        async with open_tenant_session(process.database, globex) as session:
            await ItemService(session=session).add(ItemCreate("As ever"))


async def test_a_restored_tenant_is_as_it_was_tokens_included(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    root, ours = await admin(process), await bearer(process, acme)
    kept = await item(process, acme, "Kept")
    await user(process, acme)
    tokens = await logged_in(http, acme)
    domain = f"{acme.slug}.example"
    await http.post(f"{TENANTS}/{acme.id}/domains", headers=root, json={"hostname": domain})
    assert (await _move(http, root, acme, *MOVES["delete"])).status_code == 204
    shown = (await http.get(f"{TENANTS}/{acme.id}", headers=root)).json()
    left = datetime.fromisoformat(shown["purge_at"]) - datetime.fromisoformat(shown["deleted_at"])
    assert left == timedelta(days=30)
    for headers in (ours, headers_of(tokens)):
        assert (await http.get("/v1/items", headers=headers)).status_code in {401, 404}
    taken = await http.post(f"{TENANTS}/{globex.id}/domains", headers=root, json={"hostname": domain})
    assert refusal_of(taken) == (409, "hostname-taken")
    restored = await _move(http, root, acme, *MOVES["restore"])
    assert (restored.json()["state"], restored.json()["deleted_at"], restored.json()["purge_at"]) == (
        "active",
        None,
        None,
    )
    for headers in (ours, headers_of(tokens), ours | {"Host": domain}):
        listed = await http.get("/v1/items", headers=headers)
        assert [row["id"] for row in listed.json()["items"]] == [str(kept.id)]
    refresh = {"refresh_token": tokens["refresh_token"]}
    assert (await http.post(on(acme.slug, "/v1/auth/refresh"), json=refresh)).status_code == 200


@pytest.mark.parametrize(
    ("way", "body", "state"),
    [("/suspension", None, "suspended"), ("/maintenance", {"is_read_only": True}, "maintenance")],
)
async def test_a_tenant_is_restored_to_the_state_in_which_it_was_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, way: str, body: Any, state: str
) -> None:
    root = await admin(process)
    before = (await _move(http, root, acme, "PUT", way, body)).json()
    await _move(http, root, acme, *MOVES["delete"])
    restored = (await _move(http, root, acme, *MOVES["restore"])).json()
    assert restored["state"] == state
    assert restored | {"updated_at": None} == before | {"updated_at": None}


async def test_a_purge_is_asked_for_by_the_slug_and_by_who_may(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    root, address = await admin(process), f"{TENANTS}/{acme.id}/purge"
    body = {"slug": acme.slug}
    assert refusal_of(await http.post(address, headers=root, json=body)) == (409, "wrong-state")
    await _move(http, root, acme, *MOVES["delete"])
    other = await http.post(address, headers=root, json={"slug": globex.slug})
    assert (refusal_of(other), pointers_of(other)) == ((422, "not-its-slug"), ["/slug"])
    weak = await admin(process, "platform:tenants:write", "platform:tenants:read")
    assert refusal_of(await http.post(address, headers=weak, json=body)) == (403, "insufficient-scope")
    asked = await http.post(address, headers=root, json=body)
    assert asked.status_code == 202
    assert datetime.fromisoformat(asked.json()["purge_at"]) <= datetime.now(UTC)
    assert (await _move(http, root, acme, *MOVES["restore"])).json()["purge_at"] is None
    assert await process.purger.purge(acme.id, by=OPERATOR) is False
    assert (await http.get("/v1/items", headers=await bearer(process, acme))).status_code == 200
