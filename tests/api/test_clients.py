"""API clients over HTTP: their secrets, what they may be given, and that their tokens end with them."""

import asyncio

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients.repository import ApiClientRepository
from leasehold.workspace.scopes import ALL_SCOPES
from tests.api.problems import on, pointers_of, problem_of, refusal_of
from tests.factories import api_client, bearer


async def new_client(http: httpx.AsyncClient, headers: dict[str, str], *scopes: str) -> tuple[str, str]:
    made = await http.post("/v1/clients", headers=headers, json={"name": "ERP", "scopes": list(scopes)})
    assert made.status_code == 201, made.text
    return made.json()["client_id"], made.json()["client_secret"]


async def token_answer(http: httpx.AsyncClient, tenant: TenantRef, client_id: str, secret: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return await http.post(on(tenant.slug, "/oauth/token"), data=form)


async def token_of(http: httpx.AsyncClient, tenant: TenantRef, client_id: str, secret: str) -> dict[str, str]:
    answer = await token_answer(http, tenant, client_id, secret)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_a_client_is_made_used_read_changed_and_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    client_id, secret = await new_client(http, headers, "items:write", "items:read", "items:read")
    address = f"/v1/clients/{client_id}"
    read = await http.get(address, headers=headers)
    assert read.json()["scopes"] == ["items:read", "items:write"]
    assert secret not in read.text + (await http.get("/v1/clients", headers=headers)).text
    theirs = await token_of(http, acme, client_id, secret)
    assert (await http.post("/v1/items", headers=theirs, json={"title": "Desk"})).status_code == 201
    changed = await http.patch(address, headers=headers, json={"name": "Shop", "scopes": ["items:read"]})
    assert (changed.json()["name"], changed.json()["scopes"]) == ("Shop", ["items:read"])
    fewer = await token_of(http, acme, client_id, secret)
    refused = await http.post("/v1/items", headers=fewer, json={"title": "Desk"})
    assert refusal_of(refused) == (403, "insufficient-scope")
    assert refusal_of(await http.get(address, headers=await bearer(process, globex))) == (404, "not-found")
    assert (await http.delete(address, headers=headers)).status_code == 204
    assert refusal_of(await http.get(address, headers=headers)) == (404, "not-found")
    assert (await token_answer(http, acme, client_id, secret)).json()["error"] == "invalid_client"


async def test_two_tenants_see_and_change_their_own_clients_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    foreign, secret = await new_client(http, theirs, "items:read")
    listed = (await http.get("/v1/clients", headers=ours)).json()["items"]
    assert foreign not in {client["id"] for client in listed}
    for answer in (
        await http.patch(f"/v1/clients/{foreign}", headers=ours, json={"is_active": False}),
        await http.post(f"/v1/clients/{foreign}/rotate", headers=ours, json={}),
        await http.delete(f"/v1/clients/{foreign}", headers=ours),
    ):
        assert refusal_of(answer) == (404, "not-found")
    await token_of(http, globex, foreign, secret)
    assert (await token_answer(http, acme, foreign, secret)).json()["error"] == "invalid_client"


@pytest.mark.parametrize("body", [{"is_active": False}, None])
async def test_tokens_end_soon_after_a_client_is_disabled_or_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, body: dict[str, bool] | None
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        client_id, secret = await new_client(http, headers, "items:read")
        theirs = await token_of(http, tenant, client_id, secret)
        assert (await http.get("/v1/items", headers=theirs)).status_code == 200
        address = f"/v1/clients/{client_id}"
        await (http.patch(address, headers=headers, json=body) if body else http.delete(address, headers=headers))
        async with asyncio.timeout(30):
            while (answer := await http.get("/v1/items", headers=theirs)).status_code == 200:
                await asyncio.sleep(0.01)
        assert refusal_of(answer) == (401, "invalid-token")
        assert (await token_answer(http, tenant, client_id, secret)).json()["error"] == "invalid_client"


async def test_both_secrets_are_good_within_the_grace_and_the_former_one_not_after_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    client_id, first = await new_client(http, headers, "items:read")
    rotated = await http.post(f"/v1/clients/{client_id}/rotate", headers=headers, json={"grace_seconds": 3600})
    assert rotated.status_code == 200
    second = rotated.json()["client_secret"]
    assert second != first
    for secret in (first, second):
        await token_of(http, acme, client_id, secret)
    async with open_tenant_session(process.database, acme) as session:
        client = await ApiClientRepository(session=session).get(client_id)
        assert client.previous_secret_expires_at is not None
        client.previous_secret_expires_at = client.created_at  # the grace has passed
    assert (await token_answer(http, acme, client_id, first)).json()["error"] == "invalid_client"
    await token_of(http, acme, client_id, second)
    assert (await token_answer(http, globex, client_id, second)).json()["error"] == "invalid_client"


async def test_a_rotation_without_grace_ends_the_former_secret_and_a_second_one_the_first(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        client_id, first = await new_client(http, headers, "items:read")
        address = f"/v1/clients/{client_id}/rotate"
        second = (await http.post(address, headers=headers, json={"grace_seconds": 60})).json()["client_secret"]
        third = (await http.post(address, headers=headers, json={"grace_seconds": 60})).json()["client_secret"]
        assert (await token_answer(http, tenant, client_id, first)).status_code == 401
        for secret in (second, third):
            await token_of(http, tenant, client_id, secret)
        fourth = (await http.post(address, headers=headers, json={})).json()["client_secret"]
        assert (await token_answer(http, tenant, client_id, third)).status_code == 401
        await token_of(http, tenant, client_id, fourth)


async def test_nobody_gives_a_client_more_than_they_hold_nor_takes_the_secret_of_one_that_has_more(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        mighty = await bearer(process, tenant)
        limited = await bearer(process, tenant, "clients:write", "clients:read", "items:read")
        client_id, _ = await new_client(http, mighty, "items:write")
        own, _ = await new_client(http, limited, "items:read")
        for answer in (
            await http.post("/v1/clients", headers=limited, json={"name": "x", "scopes": ["items:write"]}),
            await http.patch(f"/v1/clients/{own}", headers=limited, json={"scopes": ["items:write"]}),
            await http.post(f"/v1/clients/{client_id}/rotate", headers=limited, json={}),
        ):
            assert refusal_of(answer) == (403, "insufficient-scope")
            assert "items:write" in problem_of(answer)["detail"]


async def test_nobody_lets_a_client_in_again_that_has_more_than_they_hold(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    """An owner disables a client whose secret got around: who has it and may change clients does not bring it back."""
    client = await api_client(process, acme, "items:read", "tenant:export")
    address, owner = f"/v1/clients/{client.client_id}", await bearer(process, acme)
    assert (await http.patch(address, headers=owner, json={"is_active": False})).status_code == 200
    few = await bearer(process, acme, "clients:read", "clients:write", "items:read")
    refused = await http.patch(address, headers=few, json={"is_active": True})
    assert refusal_of(refused) == (403, "insufficient-scope")
    less = {"is_active": True, "scopes": ["items:read"]}
    assert (await http.patch(address, headers=few, json=less)).json()["scopes"] == ["items:read"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"scopes": []}, ["/name"]),
        ({"name": "", "scopes": []}, ["/name"]),
        ({"name": "ERP"}, ["/scopes"]),
        ({"name": "ERP", "scopes": "items:read"}, ["/scopes"]),
        ({"name": "ERP", "scopes": [], "client_secret": "mine"}, ["/client_secret"]),
    ],
)
async def test_faults_are_pointed_at(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    globex: TenantRef,
    body: dict[str, object],
    pointers: list[str],
) -> None:
    for tenant in (acme, globex):
        refused = await http.post("/v1/clients", headers=await bearer(process, tenant), json=body)
        assert refusal_of(refused) == (422, "validation-failed")
        assert pointers_of(refused) == pointers


async def test_a_scope_that_does_not_exist_is_named_with_those_that_do(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        refused = await http.post("/v1/clients", headers=headers, json={"name": "ERP", "scopes": ["items:delete"]})
        assert refusal_of(refused) == (422, "unknown-scope")
        assert all(scope in problem_of(refused)["detail"] for scope in ("items:delete", *ALL_SCOPES))
