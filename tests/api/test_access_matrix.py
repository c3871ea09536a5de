"""Every route with every kind of credential, compared with a matrix that is written down here.

A route without a row fails, and so does a row whose route has gone. What stands in the matrix is what a reviewer must
agree with; the test only holds the code to it.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute
from sqlalchemy import text

from leasehold.core.ids import new_id
from leasehold.http.request_log import RequestLog
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.scopes import ALL_SCOPES
from tests.admins import impersonated, logged_in_admin
from tests.api.access_matrix import ADMINS, ANYBODY, LINK, MATRIX, USERS
from tests.api.problems import on
from tests.api.test_access_tokens import signer
from tests.factories import admin, admin_token, api_client, api_key, bearer, new_slug, provisioned
from tests.people import headers_of, logged_in, user

LET_IN = (0, "")
"""Past all gates: what the answer then is, the body and the ids decide."""

NONE, BAD = (401, "unauthenticated"), (401, "invalid-token")
NO_LINK = (403, "invalid-link")
Outcome = tuple[int, str]
Headers = dict[str, str]


@dataclass(frozen=True)
class Route:
    operation: str
    method: str
    path: str

    @property
    def row(self) -> str:
        return MATRIX[self.operation]

    @property
    def is_of_the_platform(self) -> bool:
        return self.path.startswith("/platform")


def routes_of(app: RequestLog) -> Iterator[Route]:
    for route in app.app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method not in {"OPTIONS", "HEAD"} and handler.operation_id:
                    yield Route(str(handler.operation_id), method, route.path_format)


@dataclass(frozen=True)
class Credential:
    """A kind of credential: how one is made afresh, and what the routes say to it."""

    name: str
    make: Callable[["World"], Awaitable[Headers]]
    outcome: Callable[[Route], Outcome]
    tenant: str = "acme"


@dataclass
class World:
    http: httpx.AsyncClient
    process: Process
    acme: TenantRef
    globex: TenantRef
    suspended: TenantRef

    async def user(self, tenant: TenantRef | None = None) -> Headers:
        """Return the headers of a fresh owner with a fresh session."""
        tenant, address = tenant or self.acme, f"{new_slug()}@acme.example"
        await user(self.process, tenant, address, "owner")
        return headers_of(await logged_in(self.http, tenant, address))

    async def key(self, *scopes: str, tenant: TenantRef | None = None) -> Headers:
        return {"Authorization": f"Bearer {(await api_key(self.process, tenant or self.acme, *scopes)).key}"}


def refused(status: int, kind: str) -> Callable[[Route], Outcome]:
    """Refuse wherever a credential is asked for."""
    return lambda route: LET_IN if route.row == ANYBODY else (status, kind)


def of_a_program(route: Route) -> Outcome:
    """Let a client or key in, which holds all scopes of its tenant and is no user."""
    if route.is_of_the_platform:
        return of_nobody_there(route)
    return (403, "users-only") if route.row == USERS else LET_IN


def of_a_user(route: Route) -> Outcome:
    return of_nobody_there(route) if route.is_of_the_platform else LET_IN


def of_nobody_there(route: Route) -> Outcome:
    """Refuse a tenant's credential at the platform, but for what needs none."""
    return LET_IN if route.row == ANYBODY else BAD


def without_scopes(route: Route) -> Outcome:
    if ":" in route.row and not route.is_of_the_platform:
        return 403, "insufficient-scope"
    return of_a_program(route)


def of_another_tenant(route: Route) -> Outcome:
    if route.row == ANYBODY:
        return LET_IN
    return BAD if route.is_of_the_platform else (403, "tenant-mismatch")


def of_a_suspended_tenant(route: Route) -> Outcome:
    if route.is_of_the_platform:
        return of_nobody_there(route)
    public = {"getPublicKeys", "getServerMetadata", "isLive", "isReady"}
    return LET_IN if route.operation in public else (403, "tenant-suspended")


def of_an_admin(route: Route) -> Outcome:
    return LET_IN if route.is_of_the_platform or route.row == ANYBODY else BAD


def of_an_admins_script(route: Route) -> Outcome:
    return (403, "logged-in-only") if route.row == ADMINS else of_an_admin(route)


def of_an_admin_who_may_nothing(route: Route) -> Outcome:
    return (403, "insufficient-scope") if route.row.startswith("platform:") else of_an_admin(route)


def of_a_script_without_scopes(route: Route) -> Outcome:
    return (403, "insufficient-scope") if route.row.startswith("platform:") else of_an_admins_script(route)


def of_an_impersonation(route: Route) -> Outcome:
    """Let in who acts in a tenant, but not where somebody could stay or let others in."""
    if route.is_of_the_platform:
        return of_nobody_there(route)
    if route.row in {"users:write", "clients:write", "keys:write", "tenant:write", "tenant:export"}:
        return 403, "insufficient-scope"
    return (403, "users-only") if route.row == USERS else LET_IN


def of_an_impersonation_that_is_over(route: Route) -> Outcome:
    if route.row == ANYBODY or of_an_impersonation(route) == (403, "insufficient-scope"):
        return of_an_impersonation(route)
    return BAD


async def none(_world: World) -> Headers:
    return {}


async def malformed(_world: World) -> Headers:
    return {"Authorization": "Bearer garbage"}


async def expired(world: World) -> Headers:
    client = await api_client(world.process, world.acme)
    token = signer(world.process, lifetime_s=-60).issue(
        kind="client", subject=client.client_id, tenant_id=world.acme.id, scopes=frozenset(client.scopes)
    )
    return {"Authorization": f"Bearer {token}"}


async def disabled_client(world: World) -> Headers:
    headers = await bearer(world.process, world.acme)
    subject = world.process.tokens.verify(headers["Authorization"].split()[1]).subject
    async with open_tenant_session(world.process.database, world.acme) as session:
        await session.execute(text("UPDATE api_clients SET is_active = false WHERE id = :id"), {"id": subject})
    return headers


async def ended_session(world: World) -> Headers:
    headers = await world.user()
    assert (await world.http.post("/v1/auth/logout", headers=headers)).status_code == 204
    await world.process.feed.caught_up()
    return headers


async def disabled_user(world: World) -> Headers:
    headers = await world.user()
    subject = world.process.tokens.verify(headers["Authorization"].split()[1]).subject
    async with open_tenant_session(world.process.database, world.acme) as session:
        await session.execute(text("UPDATE users SET is_active = false WHERE id = :id"), {"id": subject})
    return headers


async def deleted_key(world: World) -> Headers:
    made = await api_key(world.process, world.acme)
    deleted = await world.http.delete(f"/v1/keys/{made.id}", headers=await bearer(world.process, world.acme))
    assert deleted.status_code == 204
    await world.process.feed.caught_up()
    return {"Authorization": f"Bearer {made.key}"}


async def client_without_scopes(world: World) -> Headers:
    client = await api_client(world.process, world.acme)
    tokens = world.process.tokens
    token = tokens.issue(kind="client", subject=client.client_id, tenant_id=world.acme.id, scopes=frozenset())
    return {"Authorization": f"Bearer {token}"}


async def admin_who_may_nothing(world: World) -> Headers:
    return await logged_in_admin(world.http, world.process, scopes=())


async def script_without_scopes(world: World) -> Headers:
    return await admin_token(world.process, ())


async def disabled_admin(world: World) -> Headers:
    headers = await logged_in_admin(world.http, world.process)
    return await disabled(world, headers)


async def disabled_admins_script(world: World) -> Headers:
    return await disabled(world, await admin(world.process))


async def disabled(world: World, headers: Headers) -> Headers:
    who = (await world.http.get("/platform/v1/me", headers=headers)).json()["subject"]
    answer = await world.http.patch(
        f"/platform/v1/admins/{who}", headers=await admin(world.process), json={"is_active": False}
    )
    assert answer.status_code == 200
    return headers


async def ended_admin_session(world: World) -> Headers:
    headers = await logged_in_admin(world.http, world.process)
    assert (await world.http.post("/platform/v1/auth/logout", headers=headers)).status_code == 204
    return headers


async def expired_admin_token(world: World) -> Headers:
    headers = await logged_in_admin(world.http, world.process)
    claimed = world.process.tokens.verify_for_platform(headers["Authorization"].split()[1])
    assert claimed.session_id is not None
    token = signer(world.process, lifetime_s=-60).issue_for_platform(
        admin_id=claimed.subject, session_id=claimed.session_id, scopes=claimed.scopes
    )
    return {"Authorization": f"Bearer {token}"}


async def forged_audience(world: World) -> Headers:
    """A token for the platform that names a client and a log-in of nobody."""
    client = await api_client(world.process, world.acme)
    token = world.process.tokens.issue_for_platform(
        admin_id=client.client_id, session_id=new_id(), scopes=frozenset(PLATFORM_SCOPES)
    )
    return {"Authorization": f"Bearer {token}"}


async def impersonating(world: World, tenant: TenantRef | None = None) -> Headers:
    return (await impersonated(world.http, world.process, tenant or world.acme)).headers


async def ended_impersonation(world: World) -> Headers:
    begun = await impersonated(world.http, world.process, world.acme)
    ended = await world.http.delete(f"{begun.address}/{begun.id}", headers=begun.admin)
    assert ended.status_code == 204
    return begun.headers


async def impersonation_of_who_logged_out(world: World) -> Headers:
    begun = await impersonated(world.http, world.process, world.acme)
    assert (await world.http.post("/platform/v1/auth/logout", headers=begun.admin)).status_code == 204
    return begun.headers


async def impersonation_of_nobody(world: World) -> Headers:
    """A token that is signed as it should be, and that no impersonation stands behind."""
    token = world.process.tokens.issue_impersonation(
        admin_id=new_id(),
        tenant_id=world.acme.id,
        impersonation_id=new_id(),
        scopes=frozenset(ALL_SCOPES),
        lifetime_s=900,
    )
    return {"Authorization": f"Bearer {token}"}


async def basic(world: World) -> Headers:
    headers = await bearer(world.process, world.acme)
    return {"Authorization": headers["Authorization"].replace("Bearer", "Basic")}


CREDENTIALS = [
    Credential("none", none, refused(*NONE)),
    Credential("malformed", malformed, refused(*BAD)),
    Credential("a token under the scheme Basic", basic, refused(*BAD)),
    Credential("an expired token", expired, refused(*BAD)),
    Credential("a client", lambda world: bearer(world.process, world.acme), of_a_program),
    Credential("a key", lambda world: world.key(), of_a_program),
    Credential("a user", lambda world: world.user(), of_a_user),
    Credential("a client without scopes", client_without_scopes, without_scopes),
    Credential("another tenant's client", lambda world: bearer(world.process, world.globex), of_another_tenant),
    Credential("another tenant's key", lambda world: world.key(tenant=world.globex), of_another_tenant),
    Credential("another tenant's user", lambda world: world.user(world.globex), of_another_tenant),
    Credential("a disabled client", disabled_client, refused(*BAD)),
    Credential("a disabled user", disabled_user, refused(*BAD)),
    Credential("a session that was ended", ended_session, refused(*BAD)),
    Credential("a key that was deleted", deleted_key, refused(*BAD)),
    Credential(
        "a suspended tenant's client",
        lambda world: bearer(world.process, world.suspended),
        of_a_suspended_tenant,
        tenant="suspended",
    ),
    Credential("an admin", lambda world: logged_in_admin(world.http, world.process), of_an_admin),
    Credential("an admin without scopes", admin_who_may_nothing, of_an_admin_who_may_nothing),
    Credential("an admin's script", lambda world: admin(world.process), of_an_admins_script),
    Credential("an admin's script without scopes", script_without_scopes, of_a_script_without_scopes),
    Credential("an admin who is disabled", disabled_admin, refused(*BAD)),
    Credential("a script of an admin who is disabled", disabled_admins_script, refused(*BAD)),
    Credential("an admin's log-in that was ended", ended_admin_session, refused(*BAD)),
    Credential("an admin's token that has expired", expired_admin_token, refused(*BAD)),
    Credential("an admin who acts in the tenant", impersonating, of_an_impersonation),
    Credential(
        "an admin who acts in another tenant",
        lambda world: impersonating(world, world.globex),
        of_another_tenant,
    ),
    Credential("an impersonation that was ended", ended_impersonation, of_an_impersonation_that_is_over),
    Credential("an impersonation of who logged out", impersonation_of_who_logged_out, of_an_impersonation_that_is_over),
    Credential("an impersonation of nobody", impersonation_of_nobody, refused(*BAD)),
    Credential("a tenant's token under the audience of the platform", forged_audience, refused(*BAD)),
]


@pytest.fixture
async def world(http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef) -> World:
    suspended = await provisioned(process)
    answer = await http.put(f"/platform/v1/tenants/{suspended.id}/suspension", headers=await admin(process))
    assert answer.status_code == 200
    found = process.directory.by_id(suspended.id)
    assert found is not None
    return World(http, process, acme, globex, found)


def outcome_of(answer: httpx.Response) -> Outcome:
    """Return how the gates answered; a route past them may still refuse what was sent."""
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    document: dict[str, Any] = answer.json() if is_problem else {}
    kind = str(document.get("type", "")).rpartition("/")[2]
    if answer.status_code in {401, 403} and kind not in {"", "invalid-refresh-token", "invitation-required"}:
        return answer.status_code, kind
    return LET_IN


def test_every_route_has_a_row_and_every_row_a_route(app: RequestLog) -> None:
    assert {route.operation for route in routes_of(app)} == set(MATRIX)
    assert {row for row in MATRIX.values() if ":" in row and not row.startswith("platform:")} == ALL_SCOPES


@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda credential: credential.name)
async def test_every_route_answers_a_credential_as_the_matrix_says(
    app: RequestLog, world: World, credential: Credential
) -> None:
    tenant: TenantRef = getattr(world, credential.tenant)
    found: dict[str, Outcome] = {}
    expected: dict[str, Outcome] = {}
    unknown = "0198c5f2-0000-7000-8000-000000000000"
    for route in routes_of(app):
        path = re.sub(r"\{\w+_id\}", unknown, route.path).replace("{hostname}", "x.example")
        headers = await credential.make(world)
        body: dict[str, Any] = {} if route.method in {"GET", "DELETE"} else {"json": {}}
        if path.startswith("/oauth"):
            body, headers = {"data": {"x": "y"}}, {}
        if path.endswith("/import"):
            headers = headers | {"Content-Type": "application/x-ndjson"}
        url = path if route.is_of_the_platform else on(tenant.slug, path)
        found[route.operation] = outcome_of(await world.http.request(route.method, url, headers=headers, **body))
        expected[route.operation] = NO_LINK if route.row == LINK else credential.outcome(route)
    assert found == expected
