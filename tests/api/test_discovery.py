"""What is found out without a credential: the public keys and the metadata of the authorization server."""

import json
from typing import Any

import httpx
import jwt
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import on, refusal_of
from tests.factories import api_client, bearer

METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"


async def test_the_metadata_names_the_issuer_and_what_it_serves(http: httpx.AsyncClient) -> None:
    answer = await http.get(METADATA)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    metadata = answer.json()
    assert metadata["issuer"] == "https://leasehold.test"
    assert metadata["jwks_uri"] == "https://leasehold.test/.well-known/jwks.json"
    assert metadata["token_endpoint"] == "https://leasehold.test/oauth/token"
    assert {"items:read", "items:write", "users:read", "clients:write"} <= set(metadata["scopes_supported"])
    assert not [scope for scope in metadata["scopes_supported"] if scope.startswith("platform:")]
    assert "client_credentials" in metadata["grant_types_supported"]
    assert metadata["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]
    assert metadata["response_types_supported"] == ["none"]


async def test_the_metadata_names_no_endpoint_that_there_is_not(http: httpx.AsyncClient) -> None:
    metadata = (await http.get(METADATA)).json()
    endpoints = {name: address for name, address in metadata.items() if name.endswith(("_endpoint", "_uri"))}
    for name, address in endpoints.items():
        method = "GET" if name == "jwks_uri" else "POST"
        assert (await http.request(method, address)).status_code not in {404, 405}, address
    for name, path in (("revocation_endpoint", "/oauth/revoke"), ("introspection_endpoint", "/oauth/introspect")):
        assert (name in metadata) == ((await http.post(path)).status_code != 404)


async def test_every_grant_that_the_metadata_names_is_known(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    metadata = (await http.get(METADATA)).json()
    for grant in [*metadata["grant_types_supported"], "password"]:
        form = {"grant_type": grant}
        answer = await http.post("/oauth/token", data=form, headers={"X-Tenant": acme.slug})
        assert (answer.json()["error"] == "unsupported_grant_type") == (grant == "password")


async def test_the_metadata_stands_on_the_host_of_the_issuer_alone(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    for host in ("leasehold.test", "LEASEHOLD.TEST:443", "127.0.0.1:8000", "localhost"):
        assert (await http.get(METADATA, headers={"Host": host})).status_code == 200, host
    for tenant in (acme, globex):
        assert refusal_of(await http.get(on(tenant.slug, METADATA))) == (404, "not-found")
    for host in ("nobody.leasehold.test", "elsewhere.example", ""):
        assert (await http.get(METADATA, headers={"Host": host})).status_code == 404, host


async def test_what_the_metadata_says_does_not_depend_on_the_request(http: httpx.AsyncClient, acme: TenantRef) -> None:
    usual = (await http.get(METADATA)).json()
    for headers in (
        {"Host": "localhost"},
        {"X-Forwarded-Host": "elsewhere.example"},
        {"X-Tenant": acme.slug},
        {"X-Tenant": "nobody"},
    ):
        assert (await http.get(METADATA, headers=headers)).json() == usual


async def test_the_keys_stand_on_every_host_and_verify_tokens(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        token = (await bearer(process, tenant))["Authorization"].removeprefix("Bearer ")
        for url in (JWKS, on(tenant.slug, JWKS), "https://elsewhere.example" + JWKS):
            answer = await http.get(url)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "public, max-age=300"
            keys = jwt.PyJWKSet.from_dict(answer.json())
            claims = jwt.decode(
                token, keys[jwt.get_unverified_header(token)["kid"]], ["EdDSA"], audience="leasehold:tenant-api"
            )
            assert claims["tenant"] == str(tenant.id)


async def test_no_private_half_is_shown(http: httpx.AsyncClient) -> None:
    for key in (await http.get(JWKS)).json()["keys"]:
        assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("OKP", "Ed25519", "sig", "EdDSA")


@pytest.mark.parametrize("path", [JWKS, METADATA])
async def test_discovery_only_reads(http: httpx.AsyncClient, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert refusal_of(await http.request(method, path)) == (405, "method-not-allowed")


@pytest.mark.parametrize("path", ["/.well-known", "/.well-known/", "/.well-known/openid-configuration"])
async def test_nothing_else_is_well_known(http: httpx.AsyncClient, path: str) -> None:
    assert refusal_of(await http.get(path)) == (404, "not-found")


async def test_a_client_that_follows_the_metadata_gets_a_token(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    client = await api_client(process, acme, "items:read")
    metadata: dict[str, Any] = json.loads((await http.get(METADATA)).text)
    answer = await http.post(
        metadata["token_endpoint"],
        data={"grant_type": "client_credentials"},
        auth=(str(client.client_id), client.client_secret),
        headers={"X-Tenant": acme.slug},
    )
    token = answer.json()["access_token"]
    assert (await http.get("/v1/items", headers={"Authorization": f"Bearer {token}"})).status_code == 200
