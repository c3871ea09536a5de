"""Every operation that changes something is walked through: it leaves an event, and does nothing without one."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from litestar.routes import HTTPRoute

from leasehold.config import Settings
from leasehold.core.credentials import new_secret, secret_digest
from leasehold.core.database import driver_url
from leasehold.http.request_log import RequestLog
from leasehold.platform.tokens import service
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.confirmations.jobs import SECRET_KINDS, Purpose
from leasehold.workspace.confirmations.repository import ConfirmationRepository
from tests.admins import impersonated, logged_in_admin
from tests.api.admin_walk import ADMIN_ACTIONS, Ask, prepared_for_admins
from tests.api.test_second_factor import code_of
from tests.audit import events_of, refusing_events
from tests.factories import admin, api_client, bearer, in_days, new_slug, provisioned
from tests.isolation.test_routes import BODIES, _fresh_ids, _owner, _unique
from tests.people import PASSWORD, set_registration
from tests.pooler import direct
from tests.queued import queued

EMAIL = "sam.doe@acme.example"
NAME = "Sam Doe of the walk"

EXCEPTIONS = {
    "createItem": "items are the example resource",
    "updateItem": "items are the example resource",
    "deleteItem": "items are the example resource",
    "restoreItem": "items are the example resource",
    "createItems": "items are the example resource",
    "updateItems": "items are the example resource",
    "importItems": "items are the example resource",
    "issueToken": "a client gets one every few minutes; a refused one leaves an event, and last_used_at tells the rest",
    "refreshSession": "a user continues a session every few minutes; a replayed token leaves an event",
    "introspectToken": "only asks",
    "renewAdminToken": "an admin stays logged in by it every few minutes; the log-in left an event",
}
"""Operations that change something and leave no event, with the reason."""

ACTIONS = {
    "createUser": {"user.created"},
    "updateUser": {"user.renamed"},
    "deleteUser": {"user.deleted"},
    "register": {"user.registered"},
    "login": {"login.succeeded"},
    "createClient": {"client.created"},
    "updateClient": {"client.renamed"},
    "rotateClient": {"client.secret_rotated"},
    "deleteClient": {"client.deleted"},
    "createApiKey": {"key.created"},
    "updateApiKey": {"key.renamed"},
    "rotateApiKey": {"key.secret_rotated"},
    "deleteApiKey": {"key.deleted"},
    "removeUsersTotp": {"second_factor.removed"},
    "createInvitation": {"invitation.created"},
    "deleteInvitation": {"invitation.taken_back"},
    "updateOwnTenant": {"settings.registration_changed"},
    "requestDeletion": {"deletion.requested"},
    "withdrawDeletionRequest": {"deletion.withdrawn"},
    "requestExport": {"export.requested"},
    "updateEntitlements": {"tenant.plan_changed", "tenant.limits_changed", "tenant.features_changed"},
    "logout": {"session.ended"},
    "logoutEverywhere": {"sessions.ended"},
    "endSession": {"session.ended"},
    "updateMe": {"user.renamed"},
    "changePassword": {"password.changed"},
    "askToConfirmEmail": {"email.confirmation_asked_for"},
    "beginTotp": {"second_factor.begun"},
    "confirmTotp": {"second_factor.added"},
    "removeTotp": {"second_factor.removed"},
    "renewRecoveryCodes": {"recovery_codes.renewed"},
    "askForPassword": {"password.asked_for"},
    "resetPassword": {"password.reset"},
    "confirmEmail": {"email.confirmed"},
    "revokeToken": {"token.revoked"},
    "createTenant": {"tenant.provisioned"},
    "updateTenant": {"tenant.renamed", "tenant.canary_flagged"},
    "deleteTenant": {"tenant.deleted"},
    "suspendTenant": {"tenant.suspended"},
    "beginMaintenance": {"tenant.maintenance_began"},
    "endMaintenance": {"tenant.maintenance_ended"},
    "restoreTenant": {"tenant.restored"},
    "purgeTenant": {"tenant.purge_requested"},
    "cloneTenant": {"tenant.clone_requested"},
    "resumeTenant": {"tenant.resumed"},
    "addDomain": {"tenant.domain_added"},
    "removeDomain": {"tenant.domain_removed"},
    "retryJob": {"job.retried"},
    "dropJob": {"job.dropped"},
    "impersonate": {"impersonation.begun"},
    "endImpersonation": {"impersonation.ended"},
    **ADMIN_ACTIONS,
}
"""What each operation of the walk leaves; a new operation fails until it is named here or among the exceptions."""


@dataclass
class World:
    """Two planes, and somebody who may do everything in each."""

    http: httpx.AsyncClient
    process: Process
    settings: Settings
    home: TenantRef
    client: dict[str, str]
    root: dict[str, str]
    secrets: set[str]
    """What somebody was told, and nobody else may know."""

    async def prepared(self, operation: str, path: str) -> tuple[TenantRef, Ask]:
        """Return whom an operation concerns, and how it is asked for, when all is there that it needs."""
        if operation in ADMIN_ACTIONS or operation == "renewAdminToken":
            return self.home, await prepared_for_admins(self.http, self.process, self.root, operation, path)
        if path.startswith("/platform"):
            tenant = await provisioned(self.process)
            return tenant, await self._on_platform(operation, path, tenant)
        return self.home, await self._in_tenant(operation, path)

    async def _in_tenant(self, operation: str, path: str) -> Ask:
        ids = await _fresh_ids(self.process, self.home)
        headers = await _owner(self.http, self.process, self.home)
        caller = self.process.tokens.verify(headers["Authorization"].split()[1])
        assert caller.session_id is not None
        ids["session_id"] = caller.session_id
        body = await self._proof(operation, caller.subject, headers)
        url = f"https://{self.home.slug}.{self.settings.base_domain}{path.format(**ids)}"
        proves_itself = path.startswith(("/oauth/", "/v1/auth/")) and "logout" not in path
        return url, {} if proves_itself else headers, body or _unique(BODIES.get(operation))

    async def _proof(self, operation: str, user_id: UUID, headers: dict[str, str]) -> dict[str, Any] | None:
        """Return the body of an operation that proves something, when what it proves has been made."""
        if operation in {"confirmTotp", "removeTotp", "renewRecoveryCodes"}:
            body = {"password": PASSWORD}
            secret = (await self.http.post("/v1/me/totp", headers=headers, json=body)).json()["secret"]
            if operation == "confirmTotp":
                return {"code": code_of(secret)}
            confirmed = await self.http.post("/v1/me/totp/confirm", headers=headers, json={"code": code_of(secret)})
            return body | {"code": confirmed.json()["recovery_codes"][0]}
        if operation in {"resetPassword", "confirmEmail"}:
            purpose = "password" if operation == "resetPassword" else "email"
            secret = await confirmation(self.process, self.home, user_id, purpose)
            return {"token": secret} | ({"password": PASSWORD} if purpose == "password" else {})
        if operation in {"requestDeletion", "withdrawDeletionRequest"}:
            # As it has to be before: withdrawn, or asked for.
            verb = "DELETE" if operation == "requestDeletion" else "POST"
            await self.http.request(verb, "/v1/tenant/deletion-request", headers=headers)
        if operation == "revokeToken":
            return {"token": headers["Authorization"].split()[1]}
        return {
            "register": sign_up(),
            "login": {"email": EMAIL, "password": PASSWORD},
            "askForPassword": {"email": EMAIL},
            "updateOwnTenant": {"registration": "closed"},
        }.get(operation)

    async def _on_platform(self, operation: str, path: str, tenant: TenantRef) -> Ask:
        address, hostname = f"/platform/v1/tenants/{tenant.id}", f"{new_slug()}.example"
        if operation == "removeDomain":
            await self.http.post(f"{address}/domains", headers=self.root, json={"hostname": hostname})
        if operation == "resumeTenant":
            await self.http.put(f"{address}/suspension", headers=self.root)
        if operation == "endMaintenance":
            await self.http.put(f"{address}/maintenance", headers=self.root, json={})
        if operation in {"restoreTenant", "purgeTenant"}:
            await self.http.delete(address, headers=self.root)
        plan = new_slug()
        if operation == "updateEntitlements":
            await self.http.post("/platform/v1/plans", headers=self.root, json={"name": plan})
        job_id = queued(direct(self.settings), tenant.id, "dead")
        bodies: dict[str, dict[str, Any]] = {
            "createTenant": {"slug": new_slug(), "name": NAME},
            "updateTenant": {"slug": new_slug(), "name": NAME, "is_canary": True},
            "addDomain": {"hostname": hostname},
            "beginMaintenance": {"is_read_only": True},
            "purgeTenant": {"slug": tenant.slug},
            "cloneTenant": {"slug": new_slug(), "is_scrubbed": True},
            "updateEntitlements": {"plan": plan, "limits": {"items": 1}, "features": {"bulk_import": False}},
            "impersonate": {"scopes": ["items:read"], "reason": "Ticket 4711"},
        }
        ids = {"tenant_id": tenant.id, "hostname": hostname, "job_id": job_id}
        headers = self.root
        if operation == "impersonate":
            headers = await logged_in_admin(self.http, self.process)
        if operation == "endImpersonation":
            ids["impersonation_id"] = (await impersonated(self.http, self.process, tenant)).id
        return path.format(**ids), headers, bodies.get(operation)


async def confirmation(process: Process, tenant: TenantRef, user_id: UUID, purpose: Purpose) -> str:
    """Make what a mail would bring to a user."""
    secret = new_secret(SECRET_KINDS[purpose], tenant_id=tenant.id)
    async with open_tenant_session(process.database, tenant) as session:
        digest = secret_digest(secret, pepper=await read_pepper(session, process.key, tenant))
        await ConfirmationRepository(session=session).put(
            user_id, purpose, email=f"{new_slug()}@example.org", digest=digest, expires_at=in_days(1)
        )
    return secret


def sign_up() -> dict[str, str]:
    return {"email": f"{new_slug()}@example.org", "password": PASSWORD, "name": NAME}


def operations(app: RequestLog) -> list[tuple[str, str, str]]:
    """Return id, method and path of everything that may change something."""
    return sorted(
        (str(handler.operation_id), method, route.path_format)
        for route in app.app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method not in {"GET", "HEAD", "OPTIONS"}
    )


@pytest.fixture
async def world(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> World:
    made = await api_client(process, acme)
    root = await admin(process)
    # Its first use is noted, and must not be among what an operation does; nor one that is a minute later.
    monkeypatch.setattr(service, "_NOTED_EVERY", timedelta(days=1))
    assert (await http.get("/platform/v1/me", headers=root)).status_code == 200
    world = World(http, process, settings, acme, await bearer(process, acme), root, {made.client_secret, PASSWORD})
    await set_registration(process, acme, "open")
    body = {"email": EMAIL, "password": PASSWORD, "name": NAME}
    assert (await http.post("/v1/users", headers=world.client, json=body)).status_code == 201
    return world


def contents(settings: Settings, tenant: TenantRef) -> dict[str, Any]:
    """Return a digest of every table of a tenant and of the platform, but for the logs.

    And but for attempts, which are counted in a transaction of their own before they are looked at.
    """
    assert settings.owner_url is not None
    with psycopg.connect(driver_url(settings.owner_url.get_secret_value())) as owner:
        tables = owner.execute(
            "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname = ANY(%s) AND tablename <> ALL(ARRAY['audit_events', 'attempts'])",
            [[tenant.schema, "platform"]],
        ).fetchall()
        digest = "md5(string_agg(t::text, chr(10) ORDER BY t::text))"
        digests = (f"SELECT '{table}', {digest} FROM {table} t" for (table,) in tables)
        return dict(owner.execute(" UNION ALL ".join(digests)).fetchall())  # type: ignore[arg-type]


def test_every_operation_is_walked_or_excepted(app: RequestLog) -> None:
    named = {operation for operation, _, _ in operations(app)}
    assert named == set(ACTIONS) | set(EXCEPTIONS)
    assert set(ACTIONS) & set(EXCEPTIONS) == set()
    assert all(EXCEPTIONS.values())


async def test_every_operation_leaves_its_events_and_nobodys_secrets(app: RequestLog, world: World) -> None:
    logs = ""
    before = {event["id"] for event in events_of(world.settings, None)}  # other tests may have left what is not ours
    for operation, method, path in operations(app):
        if operation in EXCEPTIONS:
            continue
        tenant, (url, headers, body) = await world.prepared(operation, path)
        answer = await world.http.request(method, url, headers=headers, **sent(path, body))
        assert answer.is_success, (operation, answer.text)
        world.secrets |= secrets_in(answer)
        theirs, ours = (
            {event["action"] for event in events_of(world.settings, plane) if event["request_id"] == id_of(answer)}
            for plane in (tenant, None)
        )
        expected = ACTIONS[operation]
        if operation in ADMIN_ACTIONS:
            assert (theirs, ours) == (set(), expected), operation
        elif not path.startswith("/platform"):
            assert (theirs, ours) == (expected, set()), operation
        elif operation != "createTenant":
            assert (theirs, ours) == (expected, expected), operation
        else:
            made = world.process.directory.by_id(UUID(answer.json()["id"]))
            assert made is not None
            assert (ours, [event["action"] for event in events_of(world.settings, made)]) == (expected, [*expected])
        logs += str(events_of(world.settings, tenant))
    logs += str([event for event in events_of(world.settings, None) if event["id"] not in before])
    assert len(world.secrets) == 55
    assert [secret for secret in world.secrets if secret in logs] == []
    assert [personal for personal in (EMAIL, NAME, "argon2", "example.org") if personal in logs] == []


def id_of(answer: httpx.Response) -> str:
    return answer.headers["request-id"]


def secrets_in(answer: httpx.Response) -> set[str]:
    document: dict[str, Any] = answer.json() if answer.content else {}
    names = {"client_secret", "access_token", "refresh_token", "key", "secret", "token", "setup_secret"}
    return {str(document[name]) for name in names & document.keys()} | set(document.get("recovery_codes", []))


def sent(path: str, body: dict[str, Any] | None) -> dict[str, Any]:
    """Return a body as the address takes it."""
    return {"data" if path.startswith("/oauth/") else "json": body}


def planes_of(operation: str, path: str, tenant: TenantRef) -> tuple[TenantRef | None, ...]:
    """Return whose logs an operation writes to."""
    if operation in ADMIN_ACTIONS:
        return (None,)
    return (tenant, None) if path.startswith("/platform") else (tenant,)


@pytest.mark.parametrize("operation", sorted(ACTIONS))
async def test_no_operation_does_anything_whose_event_cannot_be_written(
    app: RequestLog, world: World, operation: str
) -> None:
    ((_, method, path),) = [found for found in operations(app) if found[0] == operation]
    tenant, (url, headers, body) = await world.prepared(operation, path)
    before = contents(world.settings, tenant)
    for plane in planes_of(operation, path, tenant):
        if operation == "createTenant" and plane is tenant:
            continue  # the new one's log is not there yet
        with refusing_events(world.settings, plane):
            refused = await world.http.request(method, url, headers=headers, **sent(path, body))
        assert not refused.is_success, plane
        assert contents(world.settings, tenant) == before
    assert (await world.http.request(method, url, headers=headers, **sent(path, body))).is_success
