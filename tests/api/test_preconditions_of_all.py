"""Every single resource that can be changed, of both planes: its ETag, and that what was not seen is not undone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from leasehold.core.clock import utc_now
from leasehold.core.repository import UsedRepository
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients.repository import ApiClientRepository
from leasehold.workspace.keys.repository import ApiKeyRepository
from leasehold.workspace.users.schemas import UserPatch
from leasehold.workspace.users.service import UserService
from tests.api.problems import refusal_of
from tests.api.test_preconditions import STALE
from tests.factories import OPERATOR, admin, api_client, api_key, bearer, item, new_slug
from tests.people import user
from tests.plans import PLANS

ADMINS, TENANTS = "/platform/v1/admins", "/platform/v1/tenants"
Headers = dict[str, str]


@dataclass(frozen=True)
class World:
    http: httpx.AsyncClient
    process: Process
    tenant: TenantRef
    headers: Headers
    """Of who may do everything on the plane of the resource."""

    async def posted(self, address: str, **body: Any) -> dict[str, Any]:
        made = await self.http.post(address, headers=self.headers, json=body)
        assert made.status_code == 201, made.text
        return made.json()


@dataclass(frozen=True)
class Resource:
    """A kind of resource: how one is made, and how one is changed to what no other change makes of it."""

    name: str
    make: Callable[[World], Awaitable[str]]
    change: Callable[[int], dict[str, Any]] | None
    is_deleted: bool = True

    @property
    def is_of_the_platform(self) -> bool:
        return self.name.startswith("platform ")


async def _item(world: World) -> str:
    return f"/v1/items/{(await item(world.process, world.tenant)).id}"


async def _user(world: World) -> str:
    return f"/v1/users/{(await user(world.process, world.tenant)).id}"


async def _client(world: World) -> str:
    return f"/v1/clients/{(await api_client(world.process, world.tenant, 'items:read')).client_id}"


async def _key(world: World) -> str:
    owner = await api_client(world.process, world.tenant, "items:read")
    return f"/v1/keys/{(await api_key(world.process, world.tenant, 'items:read', client=owner.client_id)).id}"


async def _invitation(world: World) -> str:
    made = await world.posted("/v1/invitations", email="lee@acme.example")
    return f"/v1/invitations/{made['id']}"


async def _own_tenant(world: World) -> str:
    return "/v1/tenant"


async def _tenant(world: World) -> str:
    return f"{TENANTS}/{world.tenant.id}"


async def _entitlements(world: World) -> str:
    return f"{TENANTS}/{world.tenant.id}/entitlements"


async def _plan(world: World) -> str:
    made = await world.posted(PLANS, name=new_slug(), limits={"users": 7, "items": 5})
    return f"{PLANS}/{made['name']}"


async def _admin(world: World) -> str:
    made = await world.posted(ADMINS, name=new_slug(), scopes=[])
    return f"{ADMINS}/{made['admin_id']}"


_REGISTRATIONS = ("open", "closed", "invite_only")
_SCOPES = ("platform:tenants:read", "platform:plans:read", "platform:jobs:read")


def _named(number: int) -> dict[str, Any]:
    return {"name": f"Name {number}"}


def _limited(number: int) -> dict[str, Any]:
    return {"limits": {"items": 100 + number}}


RESOURCES = [
    Resource("items", _item, lambda number: {"title": f"Title {number}"}),
    Resource("users", _user, _named),
    Resource("clients", _client, _named),
    Resource("keys", _key, _named),
    Resource("invitations", _invitation, None),
    Resource("tenant", _own_tenant, lambda number: {"registration": _REGISTRATIONS[number]}, is_deleted=False),
    Resource("platform tenants", _tenant, _named),
    Resource("platform entitlements", _entitlements, _limited, is_deleted=False),
    Resource("platform plans", _plan, _limited),
    Resource("platform admins", _admin, lambda number: {"scopes": [_SCOPES[number]]}, is_deleted=False),
]
NOBODY = "0198c5f2-0000-7000-8000-000000000000"
ABSENT = {
    "platform tenants": f"{TENANTS}/{NOBODY}",
    "platform entitlements": f"{TENANTS}/{NOBODY}/entitlements",
    "platform plans": f"{PLANS}/{NOBODY}",
    "platform admins": f"{ADMINS}/{NOBODY}",
}
OF_TENANTS = [resource for resource in RESOURCES if not resource.is_of_the_platform]


def each(resources: list[Resource]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("resource", resources, ids=[resource.name for resource in resources])


async def world_of(http: httpx.AsyncClient, process: Process, tenant: TenantRef, resource: Resource) -> World:
    headers = await (admin(process) if resource.is_of_the_platform else bearer(process, tenant))
    return World(http, process, tenant, headers)


async def changes(world: World, resource: Resource, address: str, if_match: str | None) -> list[httpx.Response]:
    """Try all that changes a resource with one header."""
    headers = world.headers | ({"If-Match": if_match} if if_match is not None else {})
    answers = [await world.http.patch(address, headers=headers, json=resource.change(0))] if resource.change else []
    return answers + ([await world.http.delete(address, headers=headers)] if resource.is_deleted else [])


@each(RESOURCES)
async def test_what_was_decided_on_another_state_is_not_done(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, resource: Resource
) -> None:
    world = await world_of(http, process, acme, resource)
    address = await resource.make(world)
    seen = await http.get(address, headers=world.headers)
    tag = seen.headers["etag"]
    for form in (tag, f"W/{tag}", "*"):
        again = await http.get(address, headers=world.headers | {"If-None-Match": form})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    outdated = [STALE]
    if resource.change:
        answers = await asyncio.gather(
            *(
                http.patch(address, headers=world.headers | {"If-Match": tag}, json=resource.change(number))
                for number in (0, 1)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        [won] = [answer for answer in answers if answer.status_code == 200]
        seen = await http.get(address, headers=world.headers | {"If-None-Match": tag})
        assert (seen.status_code, seen.json(), seen.headers["etag"]) == (200, won.json(), won.headers["etag"])
        outdated.append(tag)
    now = seen.headers["etag"]
    for form in (*outdated, f"W/{now}"):
        for refused in await changes(world, resource, address, form):
            assert refusal_of(refused) == (412, "precondition-failed")
    for refused in await changes(world, resource, address, "no tag"):
        assert refusal_of(refused) == (400, "invalid-if-match")
    after = await http.get(address, headers=world.headers)
    assert (after.json(), after.headers["etag"]) == (seen.json(), now)
    if resource.change:
        third = await http.patch(address, headers=world.headers | {"If-Match": f"{STALE}, {now}"}, json=_last(resource))
        assert (third.status_code, third.headers["etag"] != now) == (200, True)
        now = third.headers["etag"]
        same = await http.patch(address, headers=world.headers | {"If-Match": "*"}, json=_last(resource))
        assert (same.status_code, same.headers["etag"]) == (200, now)
    if resource.is_deleted:
        assert (await http.delete(address, headers=world.headers | {"If-Match": now})).status_code == 204


def _last(resource: Resource) -> dict[str, Any]:
    assert resource.change
    return resource.change(2)


@each([resource for resource in RESOURCES if resource.name != "tenant"])
async def test_what_is_not_there_is_not_found_whatever_the_header_says(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, resource: Resource
) -> None:
    world = await world_of(http, process, globex, resource)
    address = ABSENT.get(resource.name) or await resource.make(await world_of(http, process, acme, resource))
    for form in (None, STALE, "no tag"):
        for refused in await changes(world, resource, address, form):
            assert refusal_of(refused) == (404, "not-found")


@each(OF_TENANTS)
async def test_a_policy_of_the_tenant_holds_for_all_that_it_has_and_not_for_the_operator(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, resource: Resource
) -> None:
    world = await world_of(http, process, acme, resource)
    address = await resource.make(world)
    demand = {"require_if_match": True}
    assert (await http.patch("/v1/tenant", headers=world.headers, json=demand)).status_code == 200
    for refused in await changes(world, resource, address, None):
        assert refusal_of(refused) == (428, "precondition-required")
    for done in await changes(world, resource, address, "*"):
        assert done.is_success
    sam = await user(process, acme, "sue@acme.example")
    async with open_tenant_session(process.database, acme) as session:
        renamed = await UserService(session=session).change(sam.id, UserPatch(name="Sue"), by=OPERATOR)
    assert renamed.name == "Sue"


@pytest.mark.parametrize(("resource", "repository"), [(_client, ApiClientRepository), (_key, ApiKeyRepository)])
async def test_a_use_that_is_noted_shows_and_keeps_nobody_from_a_change(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    resource: Callable[[World], Awaitable[str]],
    repository: type[UsedRepository[Any]],
) -> None:
    headers = await bearer(process, acme)
    address = await resource(World(http, process, acme, headers))
    unused = (await http.get(address, headers=headers)).headers["etag"]
    async with open_tenant_session(process.database, acme) as session:
        await repository(session=session).note_use(UUID(address.rpartition("/")[2]), utc_now())
    used = await http.get(address, headers=headers | {"If-None-Match": unused})
    assert (used.status_code, used.headers["etag"] != unused) == (200, True)
    assert used.json()["last_used_at"] is not None
    changed = await http.patch(address, headers=headers | {"If-Match": unused}, json={"name": "ERP"})
    assert (changed.status_code, changed.json()["name"]) == (200, "ERP")
    for outdated in (unused, used.headers["etag"]):
        refused = await http.patch(address, headers=headers | {"If-Match": outdated}, json={"name": "Shop"})
        assert refusal_of(refused) == (412, "precondition-failed")


async def test_what_a_plan_changes_shows_in_the_entitlements_and_the_decision_on_them_stands(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    world = World(http, process, acme, await admin(process))
    plan, address = await _plan(world), await _entitlements(world)
    on_plan = await http.patch(address, headers=world.headers, json={"plan": plan.rpartition("/")[2]})
    tag = on_plan.headers["etag"]
    assert (await http.patch(plan, headers=world.headers, json=_limited(1))).status_code == 200
    shown = await http.get(address, headers=world.headers | {"If-None-Match": tag})
    assert (shown.status_code, shown.json()["limits"]["items"]) == (200, 101)
    decided = await http.patch(address, headers=world.headers | {"If-Match": tag}, json={"limits": {"users": 3}})
    assert (decided.status_code, decided.json()["own"]["limits"]) == (200, {"users": 3})


async def test_every_act_on_the_state_of_a_tenant_can_be_made_to_depend_on_what_was_seen(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, address = await admin(process), f"{TENANTS}/{acme.id}"
    for method, act, body in (
        ("PUT", "/suspension", None),
        ("DELETE", "/suspension", None),
        ("PUT", "/maintenance", {}),
        ("DELETE", "/maintenance", None),
        ("DELETE", "", None),
        ("POST", "/restore", None),
        ("DELETE", "", None),
        ("POST", "/purge", {"slug": acme.slug}),
    ):
        tag = (await http.get(address, headers=headers)).headers["etag"]
        refused = await http.request(method, address + act, headers=headers | {"If-Match": STALE}, json=body)
        assert refusal_of(refused) == (412, "precondition-failed"), act
        done = await http.request(method, address + act, headers=headers | {"If-Match": tag}, json=body)
        assert done.is_success, (act, done.text)
        assert done.status_code == 204 or done.headers["etag"] != tag
