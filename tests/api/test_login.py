"""`/v1/auth/*` and `/v1/me`: how users sign up and log in, and what they are told about themselves."""

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.access_matrix import MEMBER_SCOPES
from tests.api.problems import on, pointers_of, problem_of, refusal_of
from tests.factories import api_client, bearer
from tests.people import PASSWORD, login, set_registration


@pytest.fixture(autouse=True)
async def everybody_may_sign_up(process: Process, acme: TenantRef, globex: TenantRef) -> None:
    for tenant in (acme, globex):
        await set_registration(process, tenant, "open")


async def register(http: httpx.AsyncClient, tenant: TenantRef, email: str) -> httpx.Response:
    body = {"email": email, "password": PASSWORD, "name": "Sam Doe"}
    return await http.post(on(tenant.slug, "/v1/auth/register"), json=body)


async def test_who_signs_up_is_a_member_of_that_tenant_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    made = await register(http, acme, "Sam@Acme.Example")
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
    assert (made.json()["email"], made.json()["role"], made.json()["is_active"]) == ("sam@acme.example", "member", True)
    assert (await login(http, acme, "sam@acme.example")).status_code == 200
    assert refusal_of(await login(http, globex, "sam@acme.example")) == (401, "invalid-credentials")
    assert (await http.get("/v1/users", headers=await bearer(process, globex))).json()["items"] == []


async def test_nobody_can_choose_their_role_at_sign_up(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        body = {"email": "eve@acme.example", "password": PASSWORD, "role": "owner"}
        refused = await http.post(on(tenant.slug, "/v1/auth/register"), json=body)
        assert refusal_of(refused) == (422, "validation-failed")
        assert pointers_of(refused) == ["/role"]


async def test_an_address_signs_up_once_in_each_tenant(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    assert (await register(http, acme, "sam@acme.example")).status_code == 201
    refused = await register(http, acme, "SAM@acme.example")
    assert refusal_of(refused) == (409, "email-taken")
    assert pointers_of(refused) == ["/email"]
    assert (await register(http, globex, "sam@acme.example")).status_code == 201


async def test_every_fault_of_a_sign_up_is_pointed_at(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        body = {"email": "sam", "password": "short", "name": 1, "x": 2}
        refused = await http.post(on(tenant.slug, "/v1/auth/register"), json=body)
        assert pointers_of(refused) == ["/email", "/name", "/password", "/x"]


async def test_a_login_gives_a_token_with_the_scopes_of_the_role(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    await register(http, acme, "sam@acme.example")
    answer = await login(http, acme, "sam@acme.example")
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert body["scope"] == " ".join(sorted(MEMBER_SCOPES))
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert (await http.get(on(acme.slug, "/v1/items"), headers=headers)).status_code == 200
    assert refusal_of(await http.get(on(globex.slug, "/v1/items"), headers=headers)) == (403, "tenant-mismatch")


async def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        await register(http, tenant, "sam@acme.example")
        wrong = await login(http, tenant, "sam@acme.example", "wrong horse battery")
        unknown = await login(http, tenant, "eve@acme.example")
        assert refusal_of(wrong) == refusal_of(unknown) == (401, "invalid-credentials")
        ours, theirs = problem_of(wrong), problem_of(unknown)
        del ours["request_id"], theirs["request_id"]
        assert ours == theirs
        assert set(wrong.headers) == set(unknown.headers)


async def test_a_401_of_the_login_says_how_to_authenticate(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    # RFC 9110, section 15.5.2: a 401 must have the header.
    for tenant in (acme, globex):
        assert "www-authenticate" in (await login(http, tenant, "eve@acme.example")).headers


async def test_an_inactive_user_cannot_log_in_and_is_told_no_more_than_a_stranger(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        user_id = (await register(http, tenant, "sam@acme.example")).json()["id"]
        headers = await bearer(process, tenant)
        patched = await http.patch(f"/v1/users/{user_id}", headers=headers, json={"is_active": False})
        assert patched.status_code == 200
    assert refusal_of(await login(http, acme, "sam@acme.example")) == (401, "invalid-credentials")


@pytest.mark.parametrize("email", ["", "sam", "a\0b@acme.example", "' OR 1=1 --", "%", "\n", "İ@acme.example"])
async def test_any_text_as_an_address_is_refused_and_breaks_nothing(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef, email: str
) -> None:
    for tenant in (acme, globex):
        await register(http, tenant, "sam@acme.example")
        assert (await login(http, tenant, email)).status_code in {401, 422}


async def test_a_login_names_its_tenant_by_host_or_header_or_is_told_to(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    await register(http, acme, "sam@acme.example")
    body = {"email": "sam@acme.example", "password": PASSWORD}
    assert (await http.post("/v1/auth/login", json=body, headers={"X-Tenant": acme.slug})).status_code == 200
    assert refusal_of(await http.post("/v1/auth/login", json=body)) == (400, "tenant-required")
    disagreeing = await http.post(on(acme.slug, "/v1/auth/login"), json=body, headers={"X-Tenant": globex.slug})
    assert refusal_of(disagreeing) == (403, "tenant-mismatch")


async def test_a_client_is_told_its_tenant_itself_and_its_scopes(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant, "items:read")
        token = process.tokens.issue(
            kind="client", subject=client.client_id, tenant_id=tenant.id, scopes=frozenset(client.scopes)
        )
        answer = await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.json() == {
            "tenant": {"id": str(tenant.id), "slug": tenant.slug},
            "kind": "client",
            "subject": str(client.client_id),
            "name": "test",
            "scopes": ["items:read"],
            "profile": None,
        }


async def test_a_user_is_told_the_same(http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef) -> None:
    for tenant in (acme, globex):
        user_id = (await register(http, tenant, "sam@acme.example")).json()["id"]
        token = (await login(http, tenant, "sam@acme.example")).json()["access_token"]
        answer = await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        profile = answer.json().pop("profile")
        assert (profile["email"], profile["role"], profile["has_totp"]) == ("sam@acme.example", "member", False)
        assert {key: value for key, value in answer.json().items() if key != "profile"} == {
            "tenant": {"id": str(tenant.id), "slug": tenant.slug},
            "kind": "user",
            "subject": user_id,
            "name": "sam@acme.example",
            "scopes": sorted(MEMBER_SCOPES),
        }
