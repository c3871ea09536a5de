"""Users over HTTP: what they may be given, and that their tokens end with them."""

import asyncio

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.access_matrix import MEMBER_SCOPES
from tests.api.problems import on, pointers_of, problem_of, refusal_of
from tests.factories import bearer

PASSWORD = "correct horse battery"


async def logged_in(http: httpx.AsyncClient, tenant: TenantRef, email: str) -> dict[str, str]:
    answer = await http.post(on(tenant.slug, "/v1/auth/login"), json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def new_user(http: httpx.AsyncClient, headers: dict[str, str], email: str, role: str = "member") -> str:
    body = {"email": email, "role": role, "password": PASSWORD}
    made = await http.post("/v1/users", headers=headers, json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def refused_soon(http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> httpx.Response:
    async with asyncio.timeout(30):  # a second where nothing else wants the processor
        while (answer := await http.get(path, headers=headers)).status_code == 200:
            pass
    return answer


async def test_a_user_is_made_read_changed_and_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    body = {"email": "sam@acme.example", "name": "Sam Doe", "role": "admin", "password": PASSWORD}
    made = await http.post("/v1/users", headers=headers, json=body)
    assert made.status_code == 201
    assert set(made.json()) == {
        "id",
        "email",
        "name",
        "role",
        "is_active",
        "email_confirmed_at",
        "created_at",
        "updated_at",
    }
    address = f"/v1/users/{made.json()['id']}"
    assert (await http.get(address, headers=headers)).json() == made.json()
    changed = (await http.patch(address, headers=headers, json={"name": "Sam Roe", "role": "member"})).json()
    assert (changed["name"], changed["role"], changed["email"]) == ("Sam Roe", "member", "sam@acme.example")
    assert refusal_of(await http.get(address, headers=await bearer(process, globex))) == (404, "not-found")
    assert (await http.delete(address, headers=headers)).status_code == 204
    assert refusal_of(await http.get(address, headers=headers)) == (404, "not-found")


async def test_two_tenants_see_their_own_users_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    own = await new_user(http, ours, "sam@acme.example")
    foreign = await new_user(http, theirs, "sam@globex.example")
    assert [row["id"] for row in (await http.get("/v1/users", headers=ours)).json()["items"]] == [own]
    assert refusal_of(await http.patch(f"/v1/users/{foreign}", headers=ours, json={"name": "x"})) == (404, "not-found")
    assert refusal_of(await http.delete(f"/v1/users/{foreign}", headers=ours)) == (404, "not-found")
    assert (await http.get(f"/v1/users/{foreign}", headers=theirs)).status_code == 200


async def test_an_address_is_kept_in_lower_case_and_found_in_any(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        made = await http.post("/v1/users", headers=headers, json={"email": "Sam@Acme.Example", "password": PASSWORD})
        assert made.json()["email"] == "sam@acme.example"
        await logged_in(http, tenant, "SAM@ACME.EXAMPLE")


async def test_an_address_that_is_taken_in_any_case_is_409_and_free_in_another_tenant(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    await new_user(http, headers, "sam@acme.example")
    refused = await http.post("/v1/users", headers=headers, json={"email": "SAM@acme.example"})
    assert refusal_of(refused) == (409, "email-taken")
    assert pointers_of(refused) == ["/email"]
    await new_user(http, await bearer(process, globex), "sam@acme.example")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/email"]),
        ({"email": "sam"}, ["/email"]),
        ({"email": "sam@localhost"}, ["/email"]),
        ({"email": "sam doe@acme.example"}, ["/email"]),
        ({"email": "sam@acme.example\n"}, ["/email"]),
        ({"email": "sam\0@acme.example"}, ["/email"]),
        ({"email": f"{'x' * 65}@acme.example"}, ["/email"]),
        ({"email": f"sam@{'x' * 250}.example"}, ["/email"]),
        ({"email": "sam@acme.example", "password": "1234567"}, ["/password"]),
        ({"email": "sam@acme.example", "password": "x" * 129}, ["/password"]),
        ({"email": "sam@acme.example", "role": "king"}, ["/role"]),
        ({"email": "sam@acme.example", "name": "a\0b"}, ["/name"]),
        ({"email": "sam@acme.example", "is_active": False}, ["/is_active"]),
        ({"email": 1, "name": 2, "role": 3, "password": 4, "x": 5}, ["/email", "/name", "/password", "/role", "/x"]),
    ],
)
async def test_every_fault_of_a_new_user_is_pointed_at_in_one_answer(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, body: object, pointers: list[str]
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        refused = await http.post("/v1/users", headers=headers, json=body)
        assert refusal_of(refused) == (422, "validation-failed")
        assert pointers_of(refused) == pointers
        assert (await http.get("/v1/users", headers=headers)).json()["items"] == []


async def test_a_password_never_comes_back(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        made = await http.post("/v1/users", headers=headers, json={"email": "sam@acme.example", "password": PASSWORD})
        listed = await http.get("/v1/users", headers=headers)
        assert "password" not in made.text + listed.text
        refused = await http.post("/v1/users", headers=headers, json={"email": 1, "password": PASSWORD})
        assert PASSWORD not in refused.text


async def test_nobody_can_give_a_role_more_than_they_hold(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    limited = await bearer(process, acme, "items:read", "users:read", "users:write")
    for role, missing in (("owner", "audit:read"), ("admin", "audit:read"), ("member", "items:write")):
        refused = await http.post("/v1/users", headers=limited, json={"email": "sam@acme.example", "role": role})
        assert refusal_of(refused) == (403, "insufficient-scope")
        assert missing in problem_of(refused)["detail"]
    assert (await http.get("/v1/users", headers=limited)).json()["items"] == []
    await new_user(http, await bearer(process, globex), "sam@globex.example", "owner")


async def test_nobody_can_raise_a_role_above_what_they_hold(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    limited = await bearer(process, acme, "users:read", "users:write")
    user_id = await new_user(http, await bearer(process, acme), "sam@acme.example")
    refused = await http.patch(f"/v1/users/{user_id}", headers=limited, json={"role": "owner"})
    assert refusal_of(refused) == (403, "insufficient-scope")
    assert (await http.get(f"/v1/users/{user_id}", headers=limited)).json()["role"] == "member"
    other = await new_user(http, await bearer(process, globex), "sam@globex.example")
    raised = await http.patch(f"/v1/users/{other}", headers=await bearer(process, globex), json={"role": "owner"})
    assert raised.json()["role"] == "owner"


async def test_a_member_reads_users_and_writes_items_but_no_users(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        await new_user(http, await bearer(process, tenant), "sam@acme.example")
        headers = await logged_in(http, tenant, "sam@acme.example")
        assert (await http.get("/v1/me", headers=headers)).json()["scopes"] == sorted(MEMBER_SCOPES)
        assert (await http.get("/v1/users", headers=headers)).status_code == 200
        assert (await http.post("/v1/items", headers=headers, json={"title": "Desk"})).status_code == 201
        refused = await http.post("/v1/users", headers=headers, json={"email": "eve@acme.example"})
        assert refusal_of(refused) == (403, "insufficient-scope")
        assert "users:write" in problem_of(refused)["detail"]


@pytest.mark.parametrize("path", ["/v1/items", "/v1/me"])
async def test_the_token_of_a_deactivated_user_is_refused_soon(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, path: str
) -> None:
    headers = await bearer(process, acme)
    user_id = await new_user(http, headers, "sam@acme.example")
    await new_user(http, await bearer(process, globex), "sam@acme.example")
    ours, theirs = await logged_in(http, acme, "sam@acme.example"), await logged_in(http, globex, "sam@acme.example")
    assert (await http.get(path, headers=ours)).status_code == 200
    patched = await http.patch(f"/v1/users/{user_id}", headers=headers, json={"is_active": False})
    assert patched.json()["is_active"] is False
    refused = await refused_soon(http, path, ours)
    assert refusal_of(refused) == (401, "invalid-token")
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert (await http.get(path, headers=theirs)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/items", "/v1/me"])
async def test_the_token_of_a_deleted_user_is_refused_soon(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, path: str
) -> None:
    headers = await bearer(process, acme)
    user_id = await new_user(http, headers, "sam@acme.example")
    await new_user(http, await bearer(process, globex), "sam@acme.example")
    ours, theirs = await logged_in(http, acme, "sam@acme.example"), await logged_in(http, globex, "sam@acme.example")
    assert (await http.get(path, headers=ours)).status_code == 200
    assert (await http.delete(f"/v1/users/{user_id}", headers=headers)).status_code == 204
    assert refusal_of(await refused_soon(http, path, ours)) == (401, "invalid-token")
    assert (await http.get(path, headers=theirs)).status_code == 200


async def test_a_user_who_is_activated_again_may_use_the_old_token(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        user_id = await new_user(http, headers, "sam@acme.example")
        token = await logged_in(http, tenant, "sam@acme.example")
        await http.patch(f"/v1/users/{user_id}", headers=headers, json={"is_active": False})
        await refused_soon(http, "/v1/items", token)
        await http.patch(f"/v1/users/{user_id}", headers=headers, json={"is_active": True})
        assert (await http.get("/v1/items", headers=token)).status_code == 200


async def test_a_user_without_a_password_cannot_log_in(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        await http.post("/v1/users", headers=headers, json={"email": "sam@acme.example"})
        for password in ("", PASSWORD):
            answer = await http.post(
                on(tenant.slug, "/v1/auth/login"), json={"email": "sam@acme.example", "password": password}
            )
            assert refusal_of(answer) == (401, "invalid-credentials")
