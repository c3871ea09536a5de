"""`/oauth/revoke` (RFC 7009), `/oauth/introspect` (RFC 7662), and the refresh grant (RFC 6749, section 6)."""

from typing import Any

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients.schemas import NewApiClient
from tests.api.problems import on
from tests.factories import api_client, api_key
from tests.people import headers_of, logged_in, user

Form = dict[str, str]


def credentials(client: NewApiClient) -> Form:
    return {"client_id": str(client.client_id), "client_secret": client.client_secret}


async def ask(http: httpx.AsyncClient, tenant: TenantRef, path: str, form: Form) -> httpx.Response:
    return await http.post(on(tenant.slug, f"/oauth/{path}"), data=form)


def error_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}
    return answer.status_code, answer.json()["error"]


async def client_token(http: httpx.AsyncClient, tenant: TenantRef, client: NewApiClient) -> str:
    form = {"grant_type": "client_credentials", **credentials(client)}
    return str((await ask(http, tenant, "token", form)).json()["access_token"])


async def test_a_refresh_token_is_a_grant(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    await user(process, acme)
    tokens = await logged_in(http, acme)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    excess = await ask(http, acme, "token", form | {"scope": "items:read clients:write"})
    assert error_of(excess) == (400, "invalid_scope")
    narrow = (await ask(http, acme, "token", form | {"scope": "items:read"})).json()
    assert narrow["scope"] == "items:read"
    form["refresh_token"] = narrow["refresh_token"]
    assert (await ask(http, acme, "token", form)).json()["scope"] == tokens["scope"]


@pytest.mark.parametrize("token", [None, "", "x", "lh_refresh_x"])
async def test_a_refresh_without_a_good_token_is_refused_in_the_words_of_the_standard(
    http: httpx.AsyncClient, acme: TenantRef, token: str | None
) -> None:
    form = {"grant_type": "refresh_token"} | ({"refresh_token": token} if token is not None else {})
    assert error_of(await ask(http, acme, "token", form)) == (400, "invalid_grant" if token else "invalid_request")


async def test_revoking_a_refresh_or_access_token_ends_its_session(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        await user(process, tenant)
    for kind in ("refresh_token", "access_token"):
        tokens, other = await logged_in(http, acme), await logged_in(http, acme)
        assert (await ask(http, globex, "revoke", {"token": tokens[kind]})).status_code == 200
        assert (await http.get("/v1/me", headers=headers_of(tokens))).status_code == 200
        revoked = await ask(http, acme, "revoke", {"token": tokens[kind], "token_type_hint": "x"})
        assert (revoked.status_code, revoked.json()) == (200, {})
        await process.feed.caught_up()
        assert (await http.get("/v1/me", headers=headers_of(tokens))).status_code == 401
        assert (await http.get("/v1/me", headers=headers_of(other))).status_code == 200


async def test_revoking_an_unknown_token_succeeds_and_one_of_a_client_is_not_supported(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    assert (await ask(http, acme, "revoke", {"token": "x"})).status_code == 200
    client = await api_client(process, acme)
    token = await client_token(http, acme, client)
    key = (await api_key(process, acme)).key
    for token_or_key in (token, key):
        assert error_of(await ask(http, acme, "revoke", {"token": token_or_key})) == (400, "unsupported_token_type")
    assert (await http.get("/v1/me", headers={"Authorization": f"Bearer {key}"})).status_code == 200
    assert error_of(await ask(http, acme, "revoke", {})) == (400, "invalid_request")


async def test_credentials_at_the_revocation_must_be_right(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    await user(process, acme)
    client, foreign = await api_client(process, acme), await api_client(process, globex)
    tokens = await logged_in(http, acme)
    for wrong in (credentials(foreign), {"client_id": str(client.client_id)}, {"client_id": "x", "client_secret": "y"}):
        refused = await ask(http, acme, "revoke", {"token": tokens["refresh_token"], **wrong})
        assert error_of(refused) == (401, "invalid_client")
    assert (await http.get("/v1/me", headers=headers_of(tokens))).status_code == 200
    form = {"token": tokens["refresh_token"], **credentials(client)}
    assert (await ask(http, acme, "revoke", form)).status_code == 200


async def test_a_client_is_told_what_a_token_of_its_tenant_is_good_for(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    sam = await user(process, acme)
    client, foreign = await api_client(process, acme, "items:read"), await api_client(process, globex)
    tokens = await logged_in(http, acme)
    own = await client_token(http, acme, client)

    async def inspect(token: str, by: NewApiClient = client, at: TenantRef = acme) -> dict[str, Any]:
        answer = await ask(http, at, "introspect", {"token": token, **credentials(by)})
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return dict(answer.json())

    found = await inspect(tokens["access_token"])
    assert found["active"] is True
    assert (found["sub"], found["tenant"], found["username"]) == (str(sam.id), str(acme.id), "sam@acme.example")
    assert (found["scope"], found["token_type"]) == (tokens["scope"], "Bearer")
    assert (await inspect(tokens["refresh_token"]))["token_type"] == "refresh_token"
    assert (await inspect(own))["client_id"] == str(client.client_id)
    for token in (tokens["access_token"], tokens["refresh_token"], own):
        assert await inspect(token, foreign, globex) == {"active": False}
    assert await inspect("x") == {"active": False}
    await http.post("/v1/auth/logout", headers=headers_of(tokens))
    assert await inspect(tokens["access_token"]) == {"active": False}
    assert await inspect(tokens["refresh_token"]) == {"active": False}


async def test_introspection_is_for_clients_of_the_tenant_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    client = await api_client(process, globex)
    for form in ({"token": "x"}, {"token": "x", **credentials(client)}):
        refused = await ask(http, acme, "introspect", form)
        assert error_of(refused) == (401, "invalid_client")
        assert refused.headers["www-authenticate"] == 'Basic realm="leasehold"'
