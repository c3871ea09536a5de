"""When a key ends: with itself, with whoever it acts for, with its tenant, with its time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.scopes import Role
from leasehold.workspace.users.schemas import User
from leasehold.workspace.users.service import UserService
from tests.api.problems import refusal_of
from tests.api.test_keys import at, carrying
from tests.factories import OPERATOR, admin, api_client, api_key, bearer, new_slug, provisioned

Ask = Callable[[], Awaitable[httpx.Response]]


async def user_of(process: Process, tenant: TenantRef, role: Role = "admin") -> User:
    async with open_tenant_session(process.database, tenant) as session:
        return await UserService(session=session).add(
            email=f"{new_slug()}@example.org", name="", role=role, password_hash=None, by=OPERATOR
        )


async def soon(ask: Ask, status: int) -> httpx.Response:
    async with asyncio.timeout(30):
        while (answer := await ask()).status_code != status:
            await asyncio.sleep(0.005)
    return answer


@pytest.mark.parametrize("body", [{"is_active": False}, None])
async def test_a_key_that_is_disabled_or_deleted_is_refused_soon(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, body: dict[str, bool] | None
) -> None:
    for tenant in (acme, globex):
        headers, key = await bearer(process, tenant), await api_key(process, tenant)
        address = f"/v1/keys/{key.id}"
        assert (await http.get("/v1/items", headers=carrying(key.key))).status_code == 200
        await (http.patch(address, headers=headers, json=body) if body else http.delete(address, headers=headers))
        answer = await soon(lambda: http.get("/v1/items", headers=carrying(key.key)), 401)  # noqa: B023
        assert refusal_of(answer) == (401, "invalid-token")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_disabled_key_works_again_once_it_is_active(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, key = await bearer(process, acme), await api_key(process, acme, "items:read")
    for is_active, status in ((False, 401), (True, 200)):
        await http.patch(f"/v1/keys/{key.id}", headers=headers, json={"is_active": is_active})
        await soon(lambda: http.get("/v1/items", headers=carrying(key.key)), status)


@pytest.mark.parametrize("body", [{"is_active": False}, None])
async def test_a_key_ends_soon_after_its_user(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, body: dict[str, bool] | None
) -> None:
    for tenant in (acme, globex):
        headers, user = await bearer(process, tenant), await user_of(process, tenant)
        key, other = await api_key(process, tenant, user=user.id), await api_key(process, tenant)
        for each in (key, other):
            assert (await http.get("/v1/items", headers=carrying(each.key))).status_code == 200
        address = f"/v1/users/{user.id}"
        await (http.patch(address, headers=headers, json=body) if body else http.delete(address, headers=headers))
        await soon(lambda: http.get("/v1/items", headers=carrying(key.key)), 401)  # noqa: B023
        assert (await http.get(f"/v1/keys/{key.id}", headers=headers)).status_code == (200 if body else 404)
        assert (await http.get("/v1/items", headers=carrying(other.key))).status_code == 200


@pytest.mark.parametrize("body", [{"is_active": False}, None])
async def test_a_key_ends_soon_after_its_client(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, body: dict[str, bool] | None
) -> None:
    for tenant in (acme, globex):
        headers, client = await bearer(process, tenant), await api_client(process, tenant)
        key = await api_key(process, tenant, client=client.client_id)
        assert (await http.get("/v1/items", headers=carrying(key.key))).status_code == 200
        address = f"/v1/clients/{client.client_id}"
        await (http.patch(address, headers=headers, json=body) if body else http.delete(address, headers=headers))
        await soon(lambda: http.get("/v1/items", headers=carrying(key.key)), 401)  # noqa: B023


async def test_what_is_taken_from_its_owner_is_taken_from_a_key(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, user = await bearer(process, acme), await user_of(process, acme)
    client = await api_client(process, acme)
    of_user = await api_key(process, acme, "clients:read", "items:read", user=user.id)
    of_client = await api_key(process, acme, "clients:read", "items:read", client=client.client_id)
    for key in (of_user, of_client):
        assert (await http.get("/v1/clients", headers=carrying(key.key))).status_code == 200
    await http.patch(f"/v1/users/{user.id}", headers=headers, json={"role": "member"})
    await http.patch(f"/v1/clients/{client.client_id}", headers=headers, json={"scopes": ["items:read"]})
    for key in (of_user, of_client):
        answer = await soon(lambda: http.get("/v1/clients", headers=carrying(key.key)), 403)  # noqa: B023
        assert refusal_of(answer) == (403, "insufficient-scope")
        assert (await http.get("/v1/items", headers=carrying(key.key))).status_code == 200


async def test_a_key_that_worked_is_refused_from_the_second_it_expires(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        key = await api_key(process, tenant)
        expires_at = key.expires_at.timestamp()
        for moment in (expires_at - 1, expires_at - 0.001):
            with at(moment):
                assert (await http.get("/v1/items", headers=carrying(key.key))).status_code == 200
        with at(expires_at):
            refused = await http.get("/v1/items", headers=carrying(key.key))
        assert refusal_of(refused) == (401, "invalid-token")


@pytest.mark.parametrize("is_remembered", [True, False])
async def test_keys_of_a_suspended_and_of_a_deleted_tenant_are_refused(
    http: httpx.AsyncClient, process: Process, is_remembered: bool
) -> None:
    acme, globex = await provisioned(process), await provisioned(process)
    ours, theirs = await api_key(process, acme), await api_key(process, globex)
    for key in (ours, theirs) if is_remembered else ():
        assert (await http.get("/v1/items", headers=carrying(key.key))).status_code == 200
    platform = await admin(process)
    assert (await http.put(f"/platform/v1/tenants/{acme.id}/suspension", headers=platform)).status_code == 200
    assert refusal_of(await http.get("/v1/items", headers=carrying(ours.key))) == (403, "tenant-suspended")
    assert refusal_of(await http.get("/v1/me", headers=carrying(ours.key))) == (403, "tenant-suspended")
    assert (await http.delete(f"/platform/v1/tenants/{acme.id}", headers=platform)).status_code == 204
    assert refusal_of(await http.get("/v1/items", headers=carrying(ours.key))) == (404, "unknown-tenant")
    assert (await http.get("/v1/items", headers=carrying(theirs.key))).status_code == 200


async def test_a_key_that_was_read_before_its_revocation_is_not_remembered_after_it(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers, key = await bearer(process, acme), await api_key(process, acme)
    remember = type(process.subjects).remember_credential

    def late(*args: Any, **named: Any) -> None:
        process.subjects.forget(acme.id, key.id)  # the news of a revocation, behind the read and before the memory
        remember(*args, **named)

    monkeypatch.setattr(type(process.subjects), "remember_credential", late)
    assert (await http.get("/v1/items", headers=carrying(key.key))).status_code == 200
    monkeypatch.undo()
    # Past every announcement, so that only what is remembered could still open the door.
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text("UPDATE api_keys SET is_active = false"))
    assert refusal_of(await http.get("/v1/items", headers=carrying(key.key))) == (401, "invalid-token")
    assert (await http.get("/v1/items", headers=headers)).status_code == 200
