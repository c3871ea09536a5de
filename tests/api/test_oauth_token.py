"""`POST /oauth/token`: client credentials as RFC 6749 has them, answers and refusals in its words."""

import base64
from urllib.parse import quote

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients.schemas import NewApiClient
from leasehold.workspace.scopes import ALL_SCOPES
from tests.api.problems import on, refusal_of
from tests.factories import api_client

GRANT = {"grant_type": "client_credentials"}


def form_of(client: NewApiClient, **fields: str) -> dict[str, str]:
    return {**GRANT, "client_id": str(client.client_id), "client_secret": client.client_secret, **fields}


def basic(client_id: str, secret: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of an error in the shape of RFC 6749, section 5.2."""
    assert response.headers["content-type"].startswith("application/json"), response.text
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert set(body) == {"error", "error_description"}
    return response.status_code, body["error"]


async def test_a_client_gets_a_token_that_works_for_its_tenant_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    client = await api_client(process, acme)
    answer = await http.post(on(acme.slug, "/oauth/token"), data=form_of(client))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert body["scope"] == " ".join(sorted(ALL_SCOPES))
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert (await http.get("/v1/items", headers=headers)).status_code == 200
    assert (await http.get(on(globex.slug, "/v1/items"), headers=headers)).status_code == 403


async def test_credentials_may_come_percent_encoded_in_http_basic(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant)
        encoded = "".join(f"%{ord(letter):02X}" for letter in client.client_secret)
        for secret in (client.client_secret, quote(client.client_secret, safe=""), encoded):
            answer = await http.post(
                on(tenant.slug, "/oauth/token"), data=GRANT, headers=basic(str(client.client_id), secret)
            )
            assert answer.status_code == 200, answer.text


async def test_the_scheme_basic_is_known_in_any_case(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant)
        header = basic(str(client.client_id), client.client_secret)["Authorization"].replace("Basic", "bAsIc")
        answer = await http.post(on(tenant.slug, "/oauth/token"), data=GRANT, headers={"Authorization": header})
        assert answer.status_code == 200


async def test_a_client_may_ask_for_fewer_scopes(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant)
        answer = await http.post(on(tenant.slug, "/oauth/token"), data=form_of(client, scope="users:read items:read"))
        assert answer.json()["scope"] == "items:read users:read"
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await http.get("/v1/items", headers=headers)).status_code == 200
        assert (await http.post("/v1/items", headers=headers, json={"title": "Desk"})).status_code == 403


@pytest.mark.parametrize("scope", ["items:delete", "items:read users:read", "platform:tenants:read", "items:read,x"])
async def test_a_scope_that_the_client_does_not_hold_is_invalid_scope(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, scope: str
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant, "items:read", "items:write")
        answer = await http.post(on(tenant.slug, "/oauth/token"), data=form_of(client, scope=scope))
        assert error_of(answer) == (400, "invalid_scope")


async def test_a_wrong_secret_and_an_unknown_client_are_the_same_invalid_client(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    client, second, foreign = [await api_client(process, tenant) for tenant in (acme, acme, globex)]
    unknown = "0198c5f2-0000-7000-8000-000000000000"
    attempts = [
        form_of(client, client_secret=second.client_secret),
        form_of(client, client_secret=foreign.client_secret),
        form_of(client, client_secret="guess"),
        form_of(client, client_secret=client.client_secret[:-1]),
        form_of(client, client_secret=""),
        form_of(client, client_id=unknown),
        form_of(client, client_id="acme"),
        form_of(client, client_id=""),
        form_of(client, client_id=str(foreign.client_id)),
        form_of(foreign),
        GRANT,
        {**GRANT, "client_id": str(client.client_id)},
    ]
    texts = set()
    for form in attempts:
        answer = await http.post(on(acme.slug, "/oauth/token"), data=form)
        assert error_of(answer) == (401, "invalid_client"), form
        assert answer.headers["www-authenticate"] == 'Basic realm="leasehold"'
        texts.add(answer.text)
    assert len(texts) == 1


@pytest.mark.parametrize(
    "header",
    [
        b"Basic",
        b"Basic !!!",
        b"Basic \xe9",
        b"Basic " + base64.b64encode(b"\xff\xfe:x"),
        b"Basic " + base64.b64encode(b"no colon"),
        b"Basic " + base64.b64encode(b":"),
        b"Bearer something",
        b"Basic " + base64.b64encode(b"0198c5f2-0000-7000-8000-000000000000:a%00b"),
    ],
)
async def test_a_header_that_holds_no_credentials_is_invalid_client(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef, header: bytes
) -> None:
    for tenant in (acme, globex):
        answer = await http.post(on(tenant.slug, "/oauth/token"), data=GRANT, headers={b"authorization": header})
        assert error_of(answer) == (401, "invalid_client")


async def test_a_secret_whose_checksum_is_not_ascii_is_invalid_client(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant)
        form = form_of(client, client_secret=client.client_secret[:-6] + "éééééé")
        assert error_of(await http.post(on(tenant.slug, "/oauth/token"), data=form)) == (401, "invalid_client")


@pytest.mark.parametrize("grant", ["password", "authorization_code", "x"])
async def test_another_grant_is_unsupported(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, grant: str
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant)
        answer = await http.post(on(tenant.slug, "/oauth/token"), data=form_of(client, grant_type=grant))
        assert error_of(answer) == (400, "unsupported_grant_type")


async def test_a_request_without_a_grant_is_invalid(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        form = form_of(await api_client(process, tenant))
        del form["grant_type"]
        for sent in (form, {**form, "grant_type": ""}, {}):
            assert error_of(await http.post(on(tenant.slug, "/oauth/token"), data=sent)) == (400, "invalid_request")


async def test_credentials_in_both_ways_at_once_are_invalid(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant)
        answer = await http.post(
            on(tenant.slug, "/oauth/token"),
            data=form_of(client),
            headers=basic(str(client.client_id), client.client_secret),
        )
        assert error_of(answer) == (400, "invalid_request")


async def test_a_parameter_that_is_sent_twice_is_invalid(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant)
        for name in ("grant_type", "scope", "client_id", "client_secret"):
            form = {**form_of(client, scope="items:read"), name: ["client_credentials", "client_credentials"]}
            answer = await http.post(on(tenant.slug, "/oauth/token"), data=form)
            assert error_of(answer) == (400, "invalid_request"), name


async def test_json_instead_of_a_form_is_invalid(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        client = await api_client(process, tenant)
        answer = await http.post(on(tenant.slug, "/oauth/token"), json=form_of(client))
        assert error_of(answer) == (400, "invalid_request")


async def test_no_body_at_all_is_invalid(http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef) -> None:
    for tenant in (acme, globex):
        assert error_of(await http.post(on(tenant.slug, "/oauth/token"))) == (400, "invalid_request")


async def test_an_unknown_parameter_is_ignored(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        form = form_of(await api_client(process, tenant), resource="https://x.example")
        assert (await http.post(on(tenant.slug, "/oauth/token"), data=form)).status_code == 200


async def test_the_tenant_may_be_named_by_host_or_by_header_or_by_both(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        form = form_of(await api_client(process, tenant))
        header = {"X-Tenant": tenant.slug}
        for url, headers in (
            (on(tenant.slug, "/oauth/token"), {}),
            ("/oauth/token", header),
            (on(tenant.slug, "/oauth/token"), header),
            ("/oauth/token", {"X-Tenant": tenant.slug.upper()}),
        ):
            assert (await http.post(url, data=form, headers=headers)).status_code == 200


async def test_a_request_that_names_no_tenant_is_told_how(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        refused = await http.post("/oauth/token", data=form_of(await api_client(process, tenant)))
        assert refusal_of(refused) == (400, "tenant-required")
        assert "X-Tenant" in refused.json()["detail"]


async def test_host_and_header_that_disagree_are_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    form = form_of(await api_client(process, acme))
    for host, header in ((acme, globex), (globex, acme)):
        refused = await http.post(on(host.slug, "/oauth/token"), data=form, headers={"X-Tenant": header.slug})
        assert refusal_of(refused) == (403, "tenant-mismatch")


async def test_a_tenant_that_does_not_exist_is_404(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        form = form_of(await api_client(process, tenant))
        refused = await http.post("/oauth/token", data=form, headers={"X-Tenant": "nobody"})
        assert refusal_of(refused) == (404, "unknown-tenant")
        assert refusal_of(await http.post(on("nobody", "/oauth/token"), data=form)) == (404, "unknown-tenant")
