"""Which credentials open which door, and what each refusal says."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from leasehold.core import tokens as signed
from leasehold.core.ids import new_id
from leasehold.core.signing import KeyRing, SigningKey
from leasehold.core.tokens import AccessTokens
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.scopes import ALL_SCOPES
from tests.api.problems import on, problem_of, refusal_of
from tests.factories import admin, api_client, bearer, provisioned

_FOREIGN_RING = KeyRing([SigningKey.from_seed(b"x" * 32, signs_from=0)])


def signer(process: Process, **changes: Any) -> AccessTokens:
    """Return what signs as this installation does, but for what is changed."""
    ring = changes.pop("ring", process.tokens.ring)
    return AccessTokens(ring, **{"issuer": "https://leasehold.test", "lifetime_s": 900} | changes)


async def token_by(tokens: AccessTokens, process: Process, tenant: TenantRef, kind: Any = "client") -> str:
    client = await api_client(process, tenant)
    return tokens.issue(kind=kind, subject=client.client_id, tenant_id=tenant.id, scopes=frozenset(client.scopes))


def authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def segment(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


async def refused_token(http: httpx.AsyncClient, headers: dict[str, str] | dict[bytes, bytes]) -> None:
    answer = await http.get("/v1/items", headers=headers)  # type: ignore[arg-type]
    assert refusal_of(answer) == (401, "invalid-token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_request_without_a_token_is_asked_for_one(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    for url in ("/v1/items", "/v1/me", on(acme.slug, "/v1/items"), on(globex.slug, "/v1/users")):
        refused = await http.get(url)
        assert refusal_of(refused) == (401, "unauthenticated")
        assert refused.headers["www-authenticate"] == "Bearer"


async def test_the_same_signer_makes_tokens_that_are_accepted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        token = await token_by(signer(process), process, tenant)
        assert (await http.get("/v1/items", headers=authorization(token))).status_code == 200
        for spelled in (f"bearer {token}", f"BEARER  {token} "):
            assert (await http.get("/v1/items", headers={"Authorization": spelled})).status_code == 200


async def test_an_expired_token_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        token = await token_by(signer(process, lifetime_s=-10), process, tenant)
        await refused_token(http, authorization(token))


async def test_a_token_that_worked_is_refused_from_the_second_it_expires(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in (acme, globex):
        token = await token_by(process.tokens, process, tenant)
        expires_at = process.tokens.verify(token).expires_at
        clock = SimpleNamespace(time=lambda now=expires_at - 0.001: now)
        monkeypatch.setattr(signed, "time", clock)
        assert (await http.get("/v1/items", headers=authorization(token))).status_code == 200
        clock.time = lambda now=expires_at: now
        await refused_token(http, authorization(token))
        monkeypatch.undo()


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://elsewhere.example"},
        {"issuer": "https://leasehold.test/"},
        {"ring": _FOREIGN_RING},
    ],
)
async def test_a_token_of_another_installation_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, changes: dict[str, Any]
) -> None:
    for tenant in (acme, globex):
        await refused_token(http, authorization(await token_by(signer(process, **changes), process, tenant)))


async def test_a_token_with_the_signature_of_another_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours = await token_by(process.tokens, process, acme)
    theirs = await token_by(process.tokens, process, globex)
    swapped = f"{ours.rpartition('.')[0]}.{theirs.rpartition('.')[2]}"
    await refused_token(http, authorization(swapped))
    await refused_token(http, authorization(ours[:-4]))


async def test_a_token_whose_claims_were_altered_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    header, payload, signature = (await token_by(process.tokens, process, acme)).split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["tenant"] = str(globex.id)
    await refused_token(http, authorization(f"{header}.{segment(claims)}.{signature}"))


async def test_a_token_without_a_signature_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        header, payload, _ = (await token_by(process.tokens, process, tenant)).split(".")
        told = json.loads(base64.urlsafe_b64decode(header + "=="))
        for algorithm in ("none", "None", "HS256"):
            await refused_token(http, authorization(f"{segment({**told, 'alg': algorithm})}.{payload}."))


async def test_a_token_of_an_unknown_kind_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        await refused_token(http, authorization(await token_by(process.tokens, process, tenant, kind="admin")))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer garbage",
        b"Bearer a.b.c",
        b"Bearer e30.e30.e30",
        b"Bearer \xe9\xe9\xe9",
        b"Bearer " + b"x" * 5000,
        b"Bearer lh_client_0000000000000000000000_00000000000000000000000000000000000000",
        b"Bearer " + base64.urlsafe_b64encode(b"[" * 2900) + b".e30.e30",
        b"Token abc",
        b"Basic dXNlcjpwYXNz",
    ],
)
async def test_whatever_else_stands_in_the_header_is_refused(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef, header: bytes
) -> None:
    for tenant in (acme, globex):
        await refused_token(http, {b"authorization": header, b"x-tenant": tenant.slug.encode()})


async def test_a_good_token_under_the_scheme_basic_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        token = await token_by(process.tokens, process, tenant)
        await refused_token(http, {"Authorization": f"Basic {token}"})


async def test_the_token_of_a_subject_that_never_was_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        for kind in ("user", "client"):
            token = process.tokens.issue(
                kind=kind,  # type: ignore[arg-type]
                subject=new_id(),
                tenant_id=tenant.id,
                scopes=frozenset({"items:read"}),
            )
            await refused_token(http, authorization(token))


async def test_a_token_for_the_client_of_another_tenant_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    foreign = await api_client(process, globex)
    token = process.tokens.issue(
        kind="client", subject=foreign.client_id, tenant_id=acme.id, scopes=frozenset({"items:read"})
    )
    await refused_token(http, authorization(token))


async def test_host_header_and_token_must_agree(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    base = "https://leasehold.test/v1/items"
    for url, extra in (
        (base, {}),
        (base, {"X-Tenant": acme.slug}),
        (on(acme.slug, "/v1/items"), {}),
        (on(acme.slug, "/v1/items"), {"X-Tenant": acme.slug}),
        ("http://127.0.0.1:8000/v1/items", {}),
        ("http://localhost/v1/items", {}),
        ("http://[::1]:8000/v1/items", {}),
    ):
        assert (await http.get(url, headers={**headers, **extra})).status_code == 200, url
    for url, extra in (
        (on(globex.slug, "/v1/items"), {}),
        (base, {"X-Tenant": globex.slug}),
        (on(globex.slug, "/v1/items"), {"X-Tenant": acme.slug}),
        (on(acme.slug, "/v1/items"), {"X-Tenant": globex.slug}),
        (on(globex.slug, "/v1/items"), {"X-Tenant": globex.slug}),
    ):
        assert refusal_of(await http.get(url, headers={**headers, **extra})) == (403, "tenant-mismatch"), url


@pytest.mark.parametrize("host", ["nobody.leasehold.test", "a.b.leasehold.test", "leasehold.example", "10.0.0.1", "x"])
async def test_a_host_of_no_tenant_is_404_whatever_the_token(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, host: str
) -> None:
    for tenant in (acme, globex):
        answer = await http.get("/v1/items", headers={**await bearer(process, tenant), "Host": host})
        assert refusal_of(answer) == (404, "unknown-tenant")


async def test_a_host_is_known_in_any_case_with_a_port_and_a_trailing_dot(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    for host in (
        f"{acme.slug.upper()}.Leasehold.TEST",
        f"{acme.slug}.leasehold.test:8443",
        f"{acme.slug}.leasehold.test.",
    ):
        assert (await http.get("/v1/items", headers={**headers, "Host": host})).status_code == 200, host
    refused = await http.get("/v1/items", headers={**headers, "Host": f"{globex.slug}.leasehold.test.:443"})
    assert refusal_of(refused) == (403, "tenant-mismatch")


async def test_the_token_of_a_deleted_tenant_finds_no_tenant(http: httpx.AsyncClient, process: Process) -> None:
    acme, globex = await provisioned(process), await provisioned(process)
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    assert (await http.get("/v1/items", headers=ours)).status_code == 200
    deleted = await http.delete(f"/platform/v1/tenants/{acme.id}", headers=await admin(process))
    assert deleted.status_code == 204
    assert refusal_of(await http.get("/v1/items", headers=ours)) == (404, "unknown-tenant")
    assert refusal_of(await http.get(on(acme.slug, "/v1/items"), headers=ours)) == (404, "unknown-tenant")
    assert (await http.get("/v1/items", headers=theirs)).status_code == 200


async def test_a_suspended_tenant_is_refused_and_the_other_is_not(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    suspended = await http.put(f"/platform/v1/tenants/{acme.id}/suspension", headers=await admin(process))
    assert suspended.status_code == 200
    for answer in (
        await http.get("/v1/items", headers=ours),
        await http.get("/v1/me", headers=ours),
        await http.post("/v1/items", headers=ours, json={"title": "Desk"}),
        await http.post(on(acme.slug, "/oauth/token"), data={"grant_type": "client_credentials"}),
        await http.post(on(acme.slug, "/v1/auth/login"), json={"email": "x", "password": "y"}),
    ):
        assert refusal_of(answer) == (403, "tenant-suspended")
    assert (await http.get("/v1/items", headers=theirs)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/items", "items:read"),
        ("POST", "/v1/items", "items:write"),
        ("GET", "/v1/items/0198c5f2-0000-7000-8000-000000000000", "items:read"),
        ("PATCH", "/v1/items/0198c5f2-0000-7000-8000-000000000000", "items:write"),
        ("DELETE", "/v1/items/0198c5f2-0000-7000-8000-000000000000", "items:write"),
        ("GET", "/v1/users", "users:read"),
        ("POST", "/v1/users", "users:write"),
        ("GET", "/v1/users/0198c5f2-0000-7000-8000-000000000000", "users:read"),
        ("PATCH", "/v1/users/0198c5f2-0000-7000-8000-000000000000", "users:write"),
        ("DELETE", "/v1/users/0198c5f2-0000-7000-8000-000000000000", "users:write"),
        ("GET", "/v1/clients", "clients:read"),
        ("POST", "/v1/clients", "clients:write"),
        ("GET", "/v1/clients/0198c5f2-0000-7000-8000-000000000000", "clients:read"),
        ("PATCH", "/v1/clients/0198c5f2-0000-7000-8000-000000000000", "clients:write"),
        ("POST", "/v1/clients/0198c5f2-0000-7000-8000-000000000000/rotate", "clients:write"),
        ("DELETE", "/v1/users/0198c5f2-0000-7000-8000-000000000000/totp", "users:write"),
        ("GET", "/v1/invitations", "users:read"),
        ("POST", "/v1/invitations", "users:write"),
        ("GET", "/v1/invitations/0198c5f2-0000-7000-8000-000000000000", "users:read"),
        ("DELETE", "/v1/invitations/0198c5f2-0000-7000-8000-000000000000", "users:write"),
        ("GET", "/v1/tenant", "tenant:read"),
        ("PATCH", "/v1/tenant", "tenant:write"),
        ("GET", "/v1/audit", "audit:read"),
        ("GET", "/v1/audit/export", "audit:read"),
        ("DELETE", "/v1/clients/0198c5f2-0000-7000-8000-000000000000", "clients:write"),
        ("GET", "/v1/keys", "keys:read"),
        ("POST", "/v1/keys", "keys:write"),
        ("GET", "/v1/keys/0198c5f2-0000-7000-8000-000000000000", "keys:read"),
        ("PATCH", "/v1/keys/0198c5f2-0000-7000-8000-000000000000", "keys:write"),
        ("POST", "/v1/keys/0198c5f2-0000-7000-8000-000000000000/rotate", "keys:write"),
        ("DELETE", "/v1/keys/0198c5f2-0000-7000-8000-000000000000", "keys:write"),
    ],
)
async def test_a_missing_scope_is_named(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, method: str, path: str, scope: str
) -> None:
    others = ALL_SCOPES - {scope}
    for tenant in (acme, globex):
        body = {} if method in {"POST", "PATCH"} else None
        refused = await http.request(method, path, headers=await bearer(process, tenant, *others), json=body)
        assert refusal_of(refused) == (403, "insufficient-scope")
        assert scope in problem_of(refused)["detail"]
        assert refused.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'


async def test_the_token_of_an_admin_opens_no_tenant(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    for url in ("/v1/items", on(acme.slug, "/v1/items"), on(globex.slug, "/v1/me")):
        assert refusal_of(await http.get(url, headers=headers)) == (401, "invalid-token")


async def test_the_token_of_a_tenant_opens_no_platform(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        refused = await http.get("/platform/v1/tenants", headers=await bearer(process, tenant))
        assert refusal_of(refused) == (401, "invalid-token")


@pytest.mark.parametrize(
    "header",
    [
        b"Bearer garbage",
        b"Bearer lh_admin_00000000000000000000000000000000000000",
        b"Bearer lh_admin_00000000000000000000000000000000\xe9\xe9\xe9\xe9\xe9\xe9",
        b"Basic dXNlcjpwYXNz",
        b"Bearer ",
    ],
)
async def test_a_platform_token_that_was_never_issued_is_refused(http: httpx.AsyncClient, header: bytes) -> None:
    refused = await http.get("/platform/v1/tenants", headers={b"authorization": header})
    assert refusal_of(refused) == (401, "invalid-token")


async def test_the_platform_asks_for_a_token(http: httpx.AsyncClient) -> None:
    refused = await http.get("/platform/v1/tenants")
    assert refusal_of(refused) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"] == "Bearer"
