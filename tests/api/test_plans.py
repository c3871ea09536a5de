"""Plans: what admins make of them, who is on them, and that a change reaches all of a plan's tenants and no others."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import FIELDS, pointers_of, refusal_of
from tests.api.test_items_import import NDJSON, lines_of
from tests.audit import events_of
from tests.factories import admin, bearer, new_slug, provisioned
from tests.plans import PLANS, changed, decided, plan_of

TENANTS = "/platform/v1/tenants"
NOBODY = "0198c5f2-0000-7000-8000-000000000000"


@pytest.fixture
async def headers(process: Process) -> dict[str, str]:
    """An admin who may do everything."""
    return await admin(process)


async def imported(http: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await http.post("/v1/items/import", headers=headers | NDJSON, content=lines_of({"title": "Desk"}))


async def test_a_plan_is_made_shown_listed_changed_and_deleted(
    http: httpx.AsyncClient, headers: dict[str, str], acme: TenantRef
) -> None:
    name = new_slug()
    terms: dict[str, Any] = {
        "limits": {"items": 100, "storage_bytes": None},
        "features": {"bulk_import": False},
        "rate_limits": {"tenant": "100/1m"},
    }
    made = await http.post(PLANS, headers=headers, json={"name": name, **terms})
    assert made.status_code == 201
    plan: dict[str, Any] = made.json()
    assert set(plan) == {"id", "name", "limits", "features", "rate_limits", "created_at", "updated_at"}
    assert (plan["name"], plan["limits"]) == (name, {"items": 100})
    assert (await http.get(f"{PLANS}/{name}", headers=headers)).json() == plan
    latest = (await http.get(f"{PLANS}?sort=-created_at", headers=headers)).json()["items"]
    assert plan in latest
    first = (await http.get(f"{PLANS}?limit=1", headers=headers)).json()["items"]
    assert [one["name"] for one in first] == ["default"]
    patch = {"limits": {"items": None, "users": 5}, "features": {"bulk_import": None}}
    patched = await http.patch(f"{PLANS}/{name}", headers=headers, json=patch)
    assert patched.status_code == 200
    assert (patched.json()["limits"], patched.json()["features"]) == ({"users": 5}, {})
    assert patched.json()["rate_limits"] == {"tenant": "100/1m"}
    assert (await http.delete(f"{PLANS}/{name}", headers=headers)).status_code == 204
    assert refusal_of(await http.get(f"{PLANS}/{name}", headers=headers)) == (404, "not-found")


async def test_a_name_is_given_once_also_to_two_at_once(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    body = {"name": new_slug()}
    answers = await asyncio.gather(*(http.post(PLANS, headers=headers, json=body) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert refusal_of(await http.post(PLANS, headers=headers, json=body)) == (409, "plan-name-taken")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"limits": {"desks": 1}}, ["/limits/desks"]),
        ({"limits": {"a/b": 1, "items": 1}}, ["/limits/a~1b"]),
        (
            {"features": {"teleport": True}, "rate_limits": {"planet": "1/1s"}},
            ["/features/teleport", "/rate_limits/planet"],
        ),
        ({"rate_limits": {"tenant": "many"}}, ["/rate_limits/tenant"]),
        ({"rate_limits": {"client": "0/1s", "tenant": "1/1s,2/1s"}}, ["/rate_limits/client", "/rate_limits/tenant"]),
        ({"limits": {"items": -1}}, ["/limits"]),
        ({"limits": {"items": 10**15 + 1}}, ["/limits"]),
        ({"limits": {"items": 1.5}}, ["/limits"]),
        ({"limits": {"items": "1"}}, ["/limits"]),
        ({"features": {"bulk_import": 1}}, ["/features"]),
        ({"limits": None}, ["/limits"]),
        ({"limits": {"x" * 101: 1}}, ["/limits"]),
        ({"features": {f"f{number}": True for number in range(101)}}, ["/features"]),
        ({"price": 1}, ["/price"]),
    ],
)
async def test_terms_that_mean_nothing_are_refused_for_plans_and_for_tenants(
    http: httpx.AsyncClient, headers: dict[str, str], acme: TenantRef, body: dict[str, Any], pointers: list[str]
) -> None:
    for refused in (
        await http.post(PLANS, headers=headers, json={"name": new_slug(), **body}),
        await http.patch(f"{PLANS}/default", headers=headers, json=body),
        await http.patch(f"{TENANTS}/{acme.id}/entitlements", headers=headers, json=body),
    ):
        assert refusal_of(refused) == (422, "validation-failed")
        assert pointers_of(refused) == pointers


@pytest.mark.parametrize("name", ["", "Pro", "a b", "-a", "a/b", "x" * 64, "pro\n"])
async def test_a_name_that_cannot_be_one_is_refused(
    http: httpx.AsyncClient, headers: dict[str, str], name: str
) -> None:
    assert pointers_of(await http.post(PLANS, headers=headers, json={"name": name})) == ["/name"]


@pytest.mark.parametrize("name", ["nobody", "%00", "%F0%9F%98%80", "a%2Fb"])
async def test_a_plan_that_is_not_there_is_not_found(
    http: httpx.AsyncClient, headers: dict[str, str], name: str
) -> None:
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        answer = await http.request(method, f"{PLANS}/{name}", headers=headers, json=body)
        assert answer.status_code == 404, (method, answer.text)
        longer = await http.request(method, f"{PLANS}/{'x' * 64}", headers=headers, json=body)
        assert longer.status_code == 422


async def test_a_plan_with_tenants_and_the_default_one_are_not_deleted(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef
) -> None:
    plan = await plan_of(http, process, acme)
    for name in (plan, "default"):
        assert refusal_of(await http.delete(f"{PLANS}/{name}", headers=headers)) == (409, "plan-in-use")
    await decided(http, process, acme, plan="default")
    assert (await http.delete(f"{PLANS}/{plan}", headers=headers)).status_code == 204
    unknown = await http.patch(f"{TENANTS}/{acme.id}/entitlements", headers=headers, json={"plan": plan})
    assert refusal_of(unknown) == (422, "unknown-plan")
    assert pointers_of(unknown) == ["/plan"]


async def test_who_deletes_a_plan_while_a_tenant_is_put_on_it_does_so_before_or_not_at_all(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef
) -> None:
    for _ in range(5):
        plan = await plan_of(http, process)
        deleted, put = await asyncio.gather(
            http.delete(f"{PLANS}/{plan}", headers=headers),
            http.patch(f"{TENANTS}/{acme.id}/entitlements", headers=headers, json={"plan": plan}),
        )
        assert (deleted.status_code, put.status_code) in {(204, 422), (409, 200)}


async def test_what_holds_for_a_tenant_is_its_own_over_its_plan_over_the_defaults(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef, globex: TenantRef
) -> None:
    address = f"{TENANTS}/{acme.id}/entitlements"
    nothing = {"limits": {}, "features": {}, "rate_limits": {}}
    assert (await http.get(address, headers=headers)).json() == {
        "tenant_id": str(acme.id),
        "plan": "default",
        "own": nothing,
        "limits": {"users": None, "items": None, "storage_bytes": None, "statement_ms": None},
        "features": {"bulk_import": True},
        "rate_limits": {"client": None, "tenant": None},
    }
    terms = {"limits": {"items": 10, "users": 3}, "features": {"bulk_import": False}}
    plan = await plan_of(http, process, acme, globex, **terms, rate_limits={"tenant": "50/1m"})
    own = {"limits": {"items": 20}, "features": {"bulk_import": True}, "rate_limits": {"client": "off"}}
    assert await decided(http, process, acme, **own) == {
        "tenant_id": str(acme.id),
        "plan": plan,
        "own": own,
        "limits": {"users": 3, "items": 20, "storage_bytes": None, "statement_ms": None},
        "features": {"bulk_import": True},
        "rate_limits": {"client": "off", "tenant": "50/1m"},
    }
    other = await http.get(f"{TENANTS}/{globex.id}/entitlements", headers=headers)
    assert (other.json()["own"], other.json()["limits"]["items"]) == (nothing, 10)
    limits = await http.get("/v1/tenant/limits", headers=await bearer(process, acme))
    assert (limits.json()["plan"], limits.json()["features"]) == (plan, {"bulk_import": True})
    undone = await decided(http, process, acme, limits={"items": None}, features={"bulk_import": None})
    assert (undone["limits"]["items"], undone["features"]) == (10, {"bulk_import": False})


async def test_a_feature_is_given_and_taken_by_plan_and_by_tenant(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    assert (await imported(http, ours)).status_code == 200
    plan = await plan_of(http, process, acme, features={"bulk_import": False})
    refused = await imported(http, ours)
    document: dict[str, Any] = refused.json()
    assert (refused.status_code, document["type"]) == (403, "/docs/problems/feature-not-available")
    assert set(document) == FIELDS | {"feature"}
    assert document["feature"] == "bulk_import"
    assert (await imported(http, theirs)).status_code == 200
    await decided(http, process, acme, features={"bulk_import": True})
    assert (await imported(http, ours)).status_code == 200
    await decided(http, process, acme, features={"bulk_import": None})
    assert (await imported(http, ours)).status_code == 403
    await changed(http, process, plan, features={"bulk_import": None})
    assert (await imported(http, ours)).status_code == 200


async def test_a_feature_is_refused_before_the_body_is_read(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await decided(http, process, acme, features={"bulk_import": False})
    headers = await bearer(process, acme)

    async def never_ending() -> Any:
        yield b'{"title": "Desk"}\n'
        await asyncio.sleep(3600)

    async with asyncio.timeout(30):
        refused = await http.post("/v1/items/import", headers=headers | NDJSON, content=never_ending())
    assert refused.status_code == 403


async def test_rates_of_a_plan_and_of_a_tenant_are_obeyed_and_nobody_elses(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    plan = await plan_of(http, process, acme, rate_limits={"tenant": "3/1h"})
    answers = [await http.get("/v1/me", headers=ours) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["violated-policies"] == ["tenant-1h"]
    assert '"tenant-1h";q=3;w=3600' in answers[3].headers["ratelimit-policy"]
    assert (await http.get("/v1/me", headers=theirs)).status_code == 200
    await decided(http, process, acme, rate_limits={"tenant": "off", "client": "2/1h"})
    statuses = [(await http.get("/v1/me", headers=ours)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    await changed(http, process, plan, rate_limits={"tenant": None})
    await decided(http, process, acme, rate_limits={"tenant": None, "client": None})
    found = await http.get("/v1/me", headers=ours)
    assert found.headers["ratelimit-policy"] == (await http.get("/v1/me", headers=theirs)).headers["ratelimit-policy"]


async def test_tenants_of_one_plan_share_what_is_known_of_it_and_their_quotas_do_not_meet(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef, globex: TenantRef
) -> None:
    await plan_of(http, process, acme, globex, rate_limits={"tenant": "2/1h"}, limits={"items": 4})
    known = [process.directory.by_id(tenant.id) for tenant in (acme, globex)]
    assert known[0] is not None
    assert known[1] is not None
    assert known[0].entitlements is known[1].entitlements
    for tenant in (acme, globex):
        mine = await bearer(process, tenant)
        assert [(await http.get("/v1/me", headers=mine)).status_code for _ in range(3)] == [200, 200, 429]


async def test_changes_are_told_in_both_logs_or_that_of_the_platform_and_nothing_of_what_changed_nothing(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef, globex: TenantRef
) -> None:
    plan = await plan_of(http, process, acme, limits={"items": 10})
    await decided(http, process, acme, plan=plan, limits={"items": 20})
    await decided(http, process, acme, limits={"items": 20})
    for log in (acme, None):
        told = [
            (event["action"], event["changes"])
            for event in events_of(process.settings, log)
            if event["target_id"] in {acme.id, str(acme.id)} and event["action"] != "tenant.provisioned"
        ]
        assert sorted(told, key=str) == [
            ("tenant.limits_changed", {"items": {"from": None, "to": 20}}),
            ("tenant.plan_changed", {"plan": {"from": "default", "to": plan}}),
        ]
    await changed(http, process, plan, limits={"items": 11, "users": 2})
    await changed(http, process, plan, limits={"items": 11})
    made = await http.get(f"{PLANS}/{plan}", headers=headers)
    told = [
        (event["action"], event["changes"])
        for event in events_of(process.settings, None)
        if event["target_id"] in {UUID(made.json()["id"]), made.json()["id"]}
    ]
    assert sorted(told, key=str) == [
        ("plan.changed", {"limits.items": {"from": 10, "to": 11}, "limits.users": {"from": None, "to": 2}}),
        ("plan.created", {"name": {"from": None, "to": plan}, "limits.items": {"from": None, "to": 10}}),
    ]
    assert [event for event in events_of(process.settings, globex) if event["action"] != "tenant.provisioned"] == []


async def test_two_admins_at_once_both_leave_what_they_decided(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef
) -> None:
    address = f"{TENANTS}/{acme.id}/entitlements"
    terms: list[dict[str, Any]] = [{"items": 1}, {"users": 2}, {"storage_bytes": 10**9}]
    answers = await asyncio.gather(*(http.patch(address, headers=headers, json={"limits": one}) for one in terms))
    assert {answer.status_code for answer in answers} == {200}
    own = (await http.get(address, headers=headers)).json()["own"]
    assert own["limits"] == {"items": 1, "users": 2, "storage_bytes": 10**9}


async def test_a_deleted_tenant_gets_no_other_plan_and_an_unknown_one_is_not_found(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef
) -> None:
    assert (await http.delete(f"{TENANTS}/{acme.id}", headers=headers)).status_code == 204
    refused = await http.patch(f"{TENANTS}/{acme.id}/entitlements", headers=headers, json={"limits": {"items": 1}})
    assert refusal_of(refused) == (409, "wrong-state")
    for method in ("GET", "PATCH"):
        unknown = await http.request(method, f"{TENANTS}/{NOBODY}/entitlements", headers=headers, json={})
        assert refusal_of(unknown) == (404, "not-found")


async def test_tenants_are_listed_by_their_plan(
    http: httpx.AsyncClient, process: Process, headers: dict[str, str], acme: TenantRef
) -> None:
    plan = await plan_of(http, process, acme)
    listed = (await http.get(f"{TENANTS}?plan={plan}", headers=headers)).json()["items"]
    assert [(one["id"], one["plan"]) for one in listed] == [(str(acme.id), plan)]


async def test_a_new_tenant_is_on_the_default_plan(http: httpx.AsyncClient, process: Process) -> None:
    made = await provisioned(process)
    assert made.entitlements.plan == "default"
