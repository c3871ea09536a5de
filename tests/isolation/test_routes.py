"""Every route of the tenant plane, with everything that another tenant could hold against it."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.core.models import TenantModel
from leasehold.http.request_log import RequestLog
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.exports.repository import ExportRepository
from leasehold.workspace.exports.schemas import StoredExport
from leasehold.workspace.features import V1_ROUTES
from leasehold.workspace.invitations.service import InvitationService
from leasehold.workspace.users.service import UserService
from tests.factories import OPERATOR, api_client, api_key, bearer, in_days, item, new_slug
from tests.people import PASSWORD, headers_of, logged_in, user

assert V1_ROUTES

BODIES: dict[str, dict[str, Any]] = {
    "createItem": {"title": "planted"},
    "updateItem": {"title": "planted"},
    "restoreItem": {},
    "createItems": {"items": [{"title": "planted"}]},
    "updateItems": {"items": [{"id": "0198c5f2-0000-7000-8000-000000000000", "title": "planted"}]},
    "importItems": {"title": "planted"},
    "createUser": {"email": "planted@example.org"},
    "updateUser": {"name": "planted"},
    "createClient": {"name": "planted", "scopes": []},
    "updateClient": {"name": "planted"},
    "rotateClient": {"grace_seconds": 60},
    "createInvitation": {"email": "planted@example.org"},
    "updateOwnTenant": {"registration": "open"},
    "requestDeletion": {},
    "requestExport": {},
    "logout": {},
    "logoutEverywhere": {},
    "updateMe": {"name": "planted"},
    "changePassword": {"current_password": PASSWORD, "new_password": PASSWORD},
    "askToConfirmEmail": {},
    "beginTotp": {"password": PASSWORD},
    "confirmTotp": {"code": "000000"},
    "removeTotp": {"password": PASSWORD, "code": "000000"},
    "renewRecoveryCodes": {"password": PASSWORD, "code": "000000"},
    "createApiKey": {"name": "planted", "scopes": [], "expires_at": in_days(1).isoformat()},
    "updateApiKey": {"name": "planted"},
    "rotateApiKey": {"grace_seconds": 60},
}
"""A valid body for each operation that takes one; a new operation fails until it has one here."""

NEED_A_CODE = {"confirmTotp", "removeTotp", "renewRecoveryCodes"}
"""What succeeds only with a code of the moment; tests/api/test_second_factor.py does that."""


def type_of(path: str) -> dict[str, str]:
    """Return the header with which an address takes one JSON document that is not sent as such."""
    return {"Content-Type": "application/x-ndjson"} if path.endswith("/import") else {}


def tenant_operations(app: RequestLog) -> list[tuple[str, str, HTTPRouteHandler]]:
    """Return method, path and handler of every route behind the gate of the tenants that takes a token."""
    return [
        (method, route.path_format, handler)
        for route in app.app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/v1")
        for method, (handler, _) in route.route_handler_map.items()
        if "scopes" in handler.opt
    ]


async def _contents(process: Process, tenant: TenantRef) -> dict[str, list[str]]:
    """Return all rows of all tables of a tenant."""
    async with open_tenant_session(process.database, tenant) as session:
        return {
            table: sorted(await session.scalars(text(f'SELECT t::text FROM "{table}" t')))
            for table in sorted(TenantModel.metadata.tables)
        }


async def test_every_operation_refuses_another_tenants_ids_headers_and_hosts(
    app: RequestLog, http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    foreign = await _fresh_ids(process, globex)
    before = await _contents(process, globex)
    assert len(before["items"]) == 1
    operations = tenant_operations(app)
    assert len(operations) >= 11
    for method, path, handler in operations:
        operation = str(handler.operation_id)
        headers = await _owner(http, process, acme)
        body = BODIES[operation] if method in {"POST", "PATCH", "PUT"} else None
        address = path.format(**foreign)

        async def ask(
            status: int,
            method: str = method,
            address: str = address,
            body: dict[str, Any] | None = body,
            host: str = settings.base_domain,
            headers: dict[str, str] = headers,
            **more: str,
        ) -> None:
            headers = headers | more | type_of(address)
            answer = await http.request(method, f"https://{host}{address}", headers=headers, json=body or None)
            assert answer.status_code == status, (method, address, host, more, answer.text)

        if "{" in path:
            await ask(404)
        await ask(403, host=f"{globex.slug}.{settings.base_domain}")
        await ask(403, **{"X-Tenant": globex.slug})
        await ask(403, host=f"{acme.slug}.{settings.base_domain}", **{"X-Tenant": globex.slug})
        await ask(404, host=f"nobody.{settings.base_domain}")
        await ask(404, **{"X-Tenant": "nobody"})
    assert await _contents(process, globex) == before


async def test_every_operation_answers_its_own_tenant_on_every_address(
    app: RequestLog, http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    """The counterpart: without it the refusals above could have any reason."""
    operations = [one for one in tenant_operations(app) if str(one[2].operation_id) not in NEED_A_CODE]
    assert len(operations) == len(tenant_operations(app)) - len(NEED_A_CODE)
    for method, path, handler in operations:
        body = BODIES.get(str(handler.operation_id))
        for host, more in (
            (settings.base_domain, {}),
            (f"{acme.slug}.{settings.base_domain}", {"X-Tenant": acme.slug}),
        ):
            ids = await _fresh_ids(process, acme)
            headers = await _owner(http, process, acme)
            ids["session_id"] = process.tokens.verify(headers["Authorization"].split()[1]).session_id or ids["user_id"]
            answer = await http.request(
                method,
                f"https://{host}{path.format(**ids)}",
                headers=headers | more | type_of(path),
                json=_unique(body),
            )
            assert answer.is_success, (method, path, answer.text)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_tenants_token_opens_nothing_on_the_platform(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, method: str
) -> None:
    headers = await bearer(process, acme)
    answer = await http.request(method, "/platform/v1/tenants", headers=headers, json={"slug": "x", "name": "X"})
    assert answer.status_code == 401


async def test_a_platform_session_reaches_no_tenants_data(process: Process, acme: TenantRef) -> None:
    with pytest.raises(ProgrammingError, match="permission denied for schema"):
        async with platform_session(process.database) as session:
            await session.execute(text(f'SELECT id FROM "{acme.schema}".items'))


async def _owner(http: httpx.AsyncClient, process: Process, tenant: TenantRef) -> dict[str, str]:
    """Return the headers of a fresh owner of a tenant, who may do everything, and has a session of its own to end."""
    address = f"{new_slug()}@example.org"
    await user(process, tenant, address, "owner")
    return headers_of(await logged_in(http, tenant, address))


async def _fresh_ids(process: Process, tenant: TenantRef) -> dict[str, UUID]:
    async with open_tenant_session(process.database, tenant) as session:
        invitation = await InvitationService(session=session).invite(
            email=f"{new_slug()}@example.org", role="member", by=OPERATOR
        )
        made = await UserService(session=session).add(
            email=f"{new_slug()}@example.org", name="", role="member", password_hash=None, by=OPERATOR
        )
        exports = ExportRepository(session=session)
        await session.execute(text("UPDATE tenant_exports SET state = 'failed'"))
        export = await exports.insert({"state": "failed", "expires_at": in_days(1)}, returning=StoredExport)
    client = await api_client(process, tenant)
    return {
        "export_id": export.id,
        "item_id": (await item(process, tenant)).id,
        "user_id": made.id,
        "client_id": client.client_id,
        "key_id": (await api_key(process, tenant)).id,
        "invitation_id": invitation.id,
        "session_id": invitation.id,
    }


def _unique(body: dict[str, Any] | None) -> dict[str, Any] | None:
    if body and "email" in body:
        return {"email": f"{new_slug()}@example.org"}
    return body
