"""Admins who act in a tenant: for a while, with scopes and a reason, in both audit logs, and by no more than that."""

from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.scopes import ALL_SCOPES, IMPERSONATION_SCOPES
from tests.admins import ADMINS, impersonated, logged_in_admin
from tests.api.problems import on, pointers_of, refusal_of
from tests.audit import events_of
from tests.factories import admin, api_client, bearer, item
from tests.people import PASSWORD, SAM, user

ITEMS = "/v1/items"


async def act(process: Process, statement: str, **values: Any) -> None:
    async with platform_session(process.database) as session:
        await session.execute(text(statement), values)


async def test_an_admin_does_in_a_tenant_what_the_token_names(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    await item(process, globex, "Crane")
    begun = await impersonated(http, process, acme, "items:read", "items:write")
    made = await http.post(ITEMS, headers=begun.headers, json={"title": "Desk"})
    assert made.status_code == 201
    assert [one["title"] for one in (await http.get(ITEMS, headers=begun.headers)).json()["items"]] == ["Desk"]
    assert (await http.get(on(acme.slug, ITEMS), headers=begun.headers)).status_code == 200
    assert refusal_of(await http.get(on(globex.slug, ITEMS), headers=begun.headers)) == (403, "tenant-mismatch")
    assert refusal_of(await http.get("/v1/users", headers=begun.headers)) == (403, "insufficient-scope")
    me = (await http.get("/v1/me", headers=begun.headers)).json()
    assert (me["kind"], me["name"], me["profile"]) == ("admin", "an admin of the platform", None)
    assert me["scopes"] == ["items:read", "items:write"]


async def test_a_token_says_who_acts(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    begun = await impersonated(http, process, acme, "items:read")
    claims = jwt.decode(begun.headers["Authorization"].split()[1], options={"verify_signature": False})
    who = (await http.get("/platform/v1/me", headers=begun.admin)).json()["subject"]
    assert (claims["act"], claims["sub"], claims["kind"]) == ({"sub": who}, who, "admin")
    assert (claims["aud"], claims["tenant"], claims["sid"]) == ("leasehold:tenant-api", str(acme.id), begun.id)
    assert claims["exp"] - claims["iat"] == 900


async def test_both_logs_tell_of_it_and_the_tenants_of_what_was_done(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    begun = await impersonated(http, process, acme, "audit:read")
    who = (await http.get("/platform/v1/me", headers=begun.admin)).json()["subject"]
    assert (await http.delete(f"{begun.address}/{begun.id}", headers=begun.admin)).status_code == 204
    for plane in (acme, None):
        mine = [event for event in events_of(settings, plane) if str(event["target_id"]) == begun.id]
        assert [event["action"] for event in mine] == ["impersonation.begun", "impersonation.ended"]
        first = mine[0]
        assert (first["actor_kind"], str(first["actor_id"]), first["reason"]) == ("admin", who, "Ticket 4711")
        assert first["changes"]["scopes"] == {"from": None, "to": ["audit:read"]}
    assert [event["id"] for event in events_of(settings, acme)][-2:] == [
        event["id"] for event in events_of(settings, None) if str(event["target_id"]) == begun.id
    ]


_OF_SESSION = "UPDATE platform.admin_sessions s SET {} FROM platform.impersonations i WHERE s.id = i.session_id"
_OF_ADMIN = "UPDATE platform.admins a SET {} FROM platform.impersonations i WHERE a.id = i.admin_id"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE platform.impersonations i SET expires_at = now() WHERE true",
        "UPDATE platform.impersonations i SET ended_at = now() WHERE true",
        _OF_SESSION.format("ended_at = now()"),
        _OF_SESSION.format("expires_at = now()"),
        _OF_ADMIN.format("is_active = false"),
        _OF_ADMIN.format("scopes = '{platform:tenants:write}'"),
    ],
)
async def test_it_is_over_with_whatever_it_depends_on(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, statement: str
) -> None:
    begun = await impersonated(http, process, acme, "items:read")
    for _ in range(2):
        assert (await http.get(ITEMS, headers=begun.headers)).status_code == 200
    await act(process, statement + " AND i.id = :id", id=begun.id)
    assert refusal_of(await http.get(ITEMS, headers=begun.headers)) == (401, "invalid-token")


async def test_who_acts_in_a_suspended_tenant_is_refused_and_nobody_begins(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    begun = await impersonated(http, process, acme, "items:read")
    suspended = await http.put(f"/platform/v1/tenants/{acme.id}/suspension", headers=begun.admin)
    assert suspended.status_code == 200
    assert refusal_of(await http.get(ITEMS, headers=begun.headers)) == (403, "tenant-suspended")
    body = {"scopes": ["items:read"], "reason": "Ticket 4711"}
    assert refusal_of(await http.post(begun.address, headers=begun.admin, json=body)) == (409, "wrong-state")
    nobody = f"/platform/v1/tenants/{new_id()}/impersonations"
    assert refusal_of(await http.post(nobody, headers=begun.admin, json=body)) == (404, "not-found")
    assert refusal_of(await http.get(nobody, headers=begun.admin)) == (404, "not-found")


@pytest.mark.parametrize(
    ("change", "kind", "pointer"),
    [
        ({"scopes": []}, "validation-failed", "/scopes"),
        ({"scopes": ["items:fly"]}, "unknown-scope", "/scopes"),
        ({"scopes": ["platform:tenants:read"]}, "unknown-scope", "/scopes"),
        *(({"scopes": [scope]}, "unknown-scope", "/scopes") for scope in sorted(ALL_SCOPES - IMPERSONATION_SCOPES)),
        ({"reason": ""}, "validation-failed", "/reason"),
        ({"reason": "x" * 201}, "validation-failed", "/reason"),
        ({"reason": "a\x00b"}, "validation-failed", "/reason"),
        ({"seconds": 59}, "validation-failed", "/seconds"),
        ({"seconds": 901}, "validation-failed", "/seconds"),
        ({"user": "x"}, "validation-failed", "/user"),
    ],
)
async def test_what_is_asked_for_must_be_named_and_bounded(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, change: dict[str, Any], kind: str, pointer: str
) -> None:
    headers = await logged_in_admin(http, process)
    body = {"scopes": ["items:read"], "reason": "Ticket 4711"} | change
    refused = await http.post(f"/platform/v1/tenants/{acme.id}/impersonations", headers=headers, json=body)
    assert (refusal_of(refused), pointers_of(refused)) == ((422, kind), [pointer])
    listed = await http.get(f"/platform/v1/tenants/{acme.id}/impersonations", headers=headers)
    assert listed.json()["items"] == []


async def test_only_who_has_logged_in_and_holds_the_scope_begins(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    address, body = f"/platform/v1/tenants/{acme.id}/impersonations", {"scopes": ["items:read"], "reason": "Ticket"}
    script = await http.post(address, headers=await admin(process), json=body)
    assert refusal_of(script) == (403, "logged-in-only")
    weak = await logged_in_admin(http, process, scopes=["platform:tenants:read", "platform:tenants:write"])
    assert refusal_of(await http.post(address, headers=weak, json=body)) == (403, "insufficient-scope")


async def test_what_is_open_is_listed_and_ended_by_another_admin(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    begun, other = [await impersonated(http, process, acme, "items:read") for _ in range(2)]
    theirs = await impersonated(http, process, globex, "items:read")
    root = await admin(process)
    listed = (await http.get(begun.address, headers=root)).json()["items"]
    assert [(one["id"], one["scopes"], one["reason"]) for one in listed] == [
        (one.id, ["items:read"], "Ticket 4711") for one in (begun, other)
    ]
    assert refusal_of(await http.delete(f"{begun.address}/{theirs.id}", headers=root)) == (404, "not-found")
    assert (await http.delete(f"{begun.address}/{begun.id}", headers=root)).status_code == 204
    assert refusal_of(await http.delete(f"{begun.address}/{begun.id}", headers=root)) == (404, "not-found")
    assert refusal_of(await http.get(ITEMS, headers=begun.headers)) == (401, "invalid-token")
    assert (await http.get(ITEMS, headers=other.headers)).status_code == 200
    assert [one["id"] for one in (await http.get(begun.address, headers=root)).json()["items"]] == [other.id]


async def test_a_request_that_is_sent_again_begins_one_impersonation_and_shows_no_token_twice(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await logged_in_admin(http, process) | {"Idempotency-Key": "once"}
    address, body = f"/platform/v1/tenants/{acme.id}/impersonations", {"scopes": ["items:read"], "reason": "Ticket"}
    first, again = [await http.post(address, headers=headers, json=body) for _ in range(2)]
    assert first.json() | {"access_token": None} == again.json()
    assert len((await http.get(address, headers=headers)).json()["items"]) == 1


async def test_an_impersonation_logs_nobody_in_and_is_no_token_of_the_tenants_own(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme, SAM, "owner")
    begun = await impersonated(http, process, acme)
    token = begun.headers["Authorization"].split()[1]
    client = await api_client(process, acme)
    basic = (str(client.client_id), str(client.client_secret))
    told = await http.post(on(acme.slug, "/oauth/introspect"), data={"token": token}, auth=basic)
    assert told.json() == {"active": False}
    refused = await http.post(on(acme.slug, "/oauth/revoke"), data={"token": token})
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_token_type")
    change = {"current_password": PASSWORD, "new_password": "another horse battery"}
    assert refusal_of(await http.put("/v1/me/password", headers=begun.headers, json=change)) == (403, "users-only")
    key = {"name": "stay", "scopes": ["items:read"], "expires_at": "2030-01-01T00:00:00Z"}
    assert refusal_of(await http.post("/v1/keys", headers=begun.headers, json=key)) == (403, "insufficient-scope")
    assert refusal_of(await http.get("/platform/v1/me", headers=begun.headers)) == (401, "invalid-token")


async def test_what_is_read_for_long_ends_with_the_impersonation(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    begun = await impersonated(http, process, acme, "audit:read")
    exported = await http.get("/v1/audit/export", headers=begun.headers)
    assert exported.status_code == 200
    assert begun.id in exported.text
    await act(process, "UPDATE platform.impersonations SET ended_at = now() WHERE id = :id", id=begun.id)
    assert refusal_of(await http.get("/v1/audit/export", headers=begun.headers)) == (401, "invalid-token")


async def test_disabling_an_admin_ends_what_they_do_in_tenants(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    begun = await impersonated(http, process, acme, "items:read")
    who = (await http.get("/platform/v1/me", headers=begun.admin)).json()["subject"]
    disabled = await http.patch(f"{ADMINS}/{who}", headers=await admin(process), json={"is_active": False})
    assert disabled.status_code == 200
    assert refusal_of(await http.get(ITEMS, headers=begun.headers)) == (401, "invalid-token")
    assert (await http.get(ITEMS, headers=await bearer(process, acme))).status_code == 200
