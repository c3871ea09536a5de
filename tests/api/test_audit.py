"""`/v1/audit` and `/platform/v1/audit`: what was done, the latest first, for who may know it."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.actor import Actor
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import pointers_of, refusal_of
from tests.audit import events_of
from tests.factories import admin, api_client, bearer, provisioned

FIELDS = {
    "id",
    "created_at",
    "actor_kind",
    "actor_id",
    "impersonator_id",
    "action",
    "target_kind",
    "target_id",
    "outcome",
    "reason",
    "request_id",
    "changes",
}


async def listed(http: httpx.AsyncClient, headers: dict[str, str], path: str, **query: Any) -> list[dict[str, Any]]:
    """Return all events that a query asks for, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await http.get(path, headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["has_more"] is (page["next_cursor"] is not None)
        found += page["items"]
        if not page["has_more"]:
            return found
        query["cursor"] = page["next_cursor"]


async def acted(process: Process, tenant: TenantRef, actions: Iterable[str], by: Actor, **target: Any) -> None:
    """Write down acts of a kind that nobody else does."""
    for action in actions:
        async with open_tenant_session(process.database, tenant) as session:
            await AuditLog(session, by).record(action, ("thing", target.get("id")))


async def test_an_act_is_told_with_its_actor_its_target_and_its_request(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    me = (await http.get("/v1/me", headers=headers)).json()["subject"]
    body = {"email": "sam@acme.example", "role": "admin", "name": "Sam Doe"}
    made = await http.post("/v1/users", headers=headers | {"Request-Id": "made-by-me"}, json=body)
    event = (await listed(http, headers, "/v1/audit"))[0]
    assert set(event) == FIELDS
    assert {name: event[name] for name in FIELDS - {"id", "created_at"}} == {
        "actor_kind": "client",
        "actor_id": me,
        "impersonator_id": None,
        "action": "user.created",
        "target_kind": "user",
        "target_id": made.json()["id"],
        "outcome": "succeeded",
        "reason": None,
        "request_id": "made-by-me",
        "changes": {"role": {"from": None, "to": "admin"}},
    }
    assert event["created_at"].endswith("Z")
    theirs = await listed(http, await bearer(process, globex), "/v1/audit")
    assert [event["action"] for event in theirs] == ["client.created", "tenant.provisioned"]


async def test_events_come_the_latest_first_in_pages(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    await acted(process, acme, ["thing.done"] * 7, Actor.system("tests"))
    written = [str(event["id"]) for event in reversed(events_of(settings, acme))]
    assert len(written) == 9
    for limit in (1, 4, 9, 100):
        assert [event["id"] for event in await listed(http, headers, "/v1/audit", limit=limit)] == written


async def test_each_filter_leaves_what_it_names(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    headers = await bearer(process, acme)
    one, other, thing = new_id(), new_id(), new_id()
    await acted(process, acme, ["thing.made", "thing.broken"], Actor("user", one), id=thing)
    await acted(process, acme, ["thing.made"], Actor("user", other))

    async def actions(**query: Any) -> list[tuple[str, str | None]]:
        return [(event["action"], event["actor_id"]) for event in await listed(http, headers, "/v1/audit", **query)]

    mine = [("thing.broken", str(one)), ("thing.made", str(one))]
    assert await actions(actor_id=one) == mine
    assert await actions(target_id=thing) == mine
    assert await actions(action="thing.made") == [("thing.made", str(other)), ("thing.made", str(one))]
    assert await actions(target_kind="thing") == [("thing.made", str(other)), *mine]
    assert await actions(action="thing.made", actor_id=one, target_kind="thing", target_id=thing, limit=1) == mine[1:]
    assert await actions(action="thing.mad") == []
    assert await actions(actor_id=thing) == []


async def test_a_time_leaves_what_happened_from_it_on_or_before_it(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    await acted(process, acme, ["thing.first", "thing.second", "thing.third"], Actor.system("tests"))
    second = events_of(settings, acme, action="thing.second")[0]["created_at"]

    async def actions(**query: str) -> list[str]:
        found = await listed(http, headers, "/v1/audit", **query, target_kind="thing")
        return [event["action"] for event in found]

    assert await actions(**{"created_at[gte]": second.isoformat()}) == ["thing.third", "thing.second"]
    assert await actions(**{"created_at[lt]": second.isoformat()}) == ["thing.first"]
    later = (second + timedelta(microseconds=1)).isoformat()
    assert await actions(**{"created_at[gte]": later}) == ["thing.third"]
    assert await actions(**{"created_at[lt]": later}) == ["thing.second", "thing.first"]
    assert await actions(**{"created_at[gte]": second.isoformat(), "created_at[lt]": later}) == ["thing.second"]
    for boundless in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59+01:00"):
        assert len(await actions(**{"created_at[gte]": boundless})) == 3
        assert await actions(**{"created_at[lt]": boundless}) == []
    assert len(await actions(**{"created_at[lt]": "9999-12-31T23:59:59Z"})) == 3


@pytest.mark.parametrize("path", ["/v1/audit", "/platform/v1/audit"])
async def test_a_log_is_read_from_its_beginning_where_that_is_asked_for(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, path: str
) -> None:
    begun = datetime.now(UTC).isoformat()
    headers = await bearer(process, acme) if path == "/v1/audit" else await admin(process)
    for _ in range(3):
        await (api_client(process, acme) if path == "/v1/audit" else admin(process))
    # The log of the platform has what all tests before have left, which would be thousands of pages.
    within = {"created_at[gte]": begun, "created_at[lt]": datetime.now(UTC).isoformat()}
    latest = await listed(http, headers, path, **within)
    first = await listed(http, headers, path, **within, sort="created_at", limit=2)
    assert first == latest[::-1]
    assert await listed(http, headers, path, **within, sort="-created_at") == latest
    assert len(latest) >= 4


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/export", "/platform/v1/audit", "/platform/v1/audit/export"])
async def test_a_filter_that_is_none_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, path: str
) -> None:
    headers = await (admin(process) if path.startswith("/platform") else bearer(process, acme))
    for name, value in (
        ("actor_id", "me"),
        ("target_id", "1"),
        ("action", "client created"),
        ("action", "x" * 101),
        ("action", "x\0"),
        ("target_kind", "'; DROP TABLE audit_events; --"),
        ("created_at[gte]", "yesterday"),
        ("created_at[gte]", "1700000000"),
        ("created_at[lt]", "0.5"),
        ("created_at[lt]", "2026-01-01T00:00:00"),
    ):
        refused = await http.get(path, headers=headers, params={name: value})
        assert refusal_of(refused) == (422, "validation-failed"), (name, value)
        assert pointers_of(refused) == [f"?{name}"]


async def test_a_cursor_works_for_one_log_and_one_filter(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs, root = await bearer(process, acme), await bearer(process, globex), await admin(process)
    cursor = (await http.get("/v1/audit", headers=ours, params={"limit": 1})).json()["next_cursor"]
    assert (await http.get("/v1/audit", headers=ours, params={"cursor": cursor})).status_code == 200
    for headers, path, query in (
        (theirs, "/v1/audit", {}),
        (ours, "/v1/audit", {"action": "client.created"}),
        (ours, "/v1/audit", {"created_at[gte]": "2020-01-01T00:00:00Z"}),
        (ours, "/v1/users", {}),
        (root, "/platform/v1/audit", {}),
    ):
        refused = await http.get(path, headers=headers, params={"cursor": cursor, **query})
        assert refusal_of(refused) == (422, "invalid-cursor")


async def test_the_export_is_the_whole_list_as_lines(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    async with open_tenant_session(process.database, acme) as session:
        for number in range(2100):
            await AuditLog(session, Actor.system("tests")).record("thing.done", None, changes={"n": {"to": number}})
    answer = await http.get("/v1/audit/export", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == "application/x-ndjson"
    lines = answer.text.splitlines()
    assert answer.text == "".join(f"{line}\n" for line in lines)
    events = [json.loads(line) for line in lines]
    assert [event["changes"]["n"]["to"] for event in events[:2100]] == list(range(2099, -1, -1))
    assert events[2100:] == await listed(http, headers, "/v1/audit", **{"created_at[lt]": events[2099]["created_at"]})
    assert [json.loads(line)["action"] for line in await lines_of(http, headers, action="client.created")] == [
        "client.created"
    ]
    assert await lines_of(http, headers, action="thing.undone") == []
    assert len(await lines_of(http, await bearer(process, globex))) == 2


async def lines_of(http: httpx.AsyncClient, headers: dict[str, str], **query: Any) -> list[str]:
    return (await http.get("/v1/audit/export", headers=headers, params=query)).text.splitlines()


async def test_an_admin_reads_the_log_of_the_platform(http: httpx.AsyncClient, process: Process) -> None:
    headers = await admin(process)
    tenant = await provisioned(process)
    suspended = await http.put(f"/platform/v1/tenants/{tenant.id}/suspension", headers=headers)
    assert suspended.status_code == 200
    found = await listed(http, headers, "/platform/v1/audit", target_id=tenant.id, limit=1)
    assert [event["action"] for event in found] == ["tenant.suspended", "tenant.provisioned"]
    assert set(found[0]) == FIELDS
    assert (found[0]["actor_kind"], found[0]["request_id"]) == ("admin", suspended.headers["request-id"])
    assert found[0]["changes"] == {"state": {"from": "active", "to": "suspended"}}
    exported = await http.get("/platform/v1/audit/export", headers=headers, params={"target_id": str(tenant.id)})
    assert [json.loads(line) for line in exported.text.splitlines()] == found


async def test_who_holds_every_other_scope_reads_no_log(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    others = await admin(process, "platform:tenants:read", "platform:tenants:write", "platform:jobs:read")
    for path in ("/platform/v1/audit", "/platform/v1/audit/export"):
        assert refusal_of(await http.get(path, headers=others)) == (403, "insufficient-scope")
        assert (await http.get(path, headers=await bearer(process, acme))).status_code == 401
    reader = await admin(process, "platform:audit:read")
    assert (await http.get("/platform/v1/audit", headers=reader)).status_code == 200
    assert refusal_of(await http.get("/platform/v1/tenants", headers=reader)) == (403, "insufficient-scope")


@pytest.mark.parametrize(("role", "status"), [("owner", 200), ("admin", 200), ("member", 403)])
async def test_owners_and_admins_of_a_tenant_read_its_log_and_members_do_not(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, role: str, status: int
) -> None:
    body = {"email": "sam@acme.example", "password": "correct horse battery", "role": role}
    await http.post("/v1/users", headers=await bearer(process, acme), json=body)
    del body["role"]
    token = (await http.post("/v1/auth/login", headers={"X-Tenant": acme.slug}, json=body)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (await http.get("/v1/audit", headers=headers)).status_code == status
    assert (await http.get("/v1/audit/export", headers=headers)).status_code == status
