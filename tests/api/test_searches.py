"""Words find rows by an index, on every page, and never those of another tenant."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection
from leasehold.core.listing.listing import Listing
from leasehold.core.reads import Read
from leasehold.platform.audit.repository import EVENTS as PLATFORM_EVENTS
from leasehold.platform.tenants.repository import TENANTS
from leasehold.platform.tenants.schemas import Tenant
from leasehold.process import Process
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.audit.schemas import AuditEvent
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.audit.repository import EVENTS
from leasehold.workspace.clients.repository import CLIENTS
from leasehold.workspace.clients.schemas import ApiClient
from leasehold.workspace.items.repository import ITEMS
from leasehold.workspace.items.schemas import Item
from leasehold.workspace.users.repository import USERS
from leasehold.workspace.users.schemas import User
from tests.api.problems import refusal_of
from tests.factories import admin, bearer, provisioned

_FILL = """
INSERT INTO audit_events (id, created_at, actor_kind, action, target_kind, outcome, changes)
SELECT gen_random_uuid(), now(), 'system', CASE WHEN n % 500 = 0 THEN 'planet.sold' ELSE 'moon.painted' END, 'sky',
       'succeeded', '{}'
  FROM generate_series(1, 20000) n
"""


async def pages(
    http: httpx.AsyncClient, headers: dict[str, str], path: str, *, limit: int, **asked: Any
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = asked | {"limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = await http.get(path, headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


async def refused(http: httpx.AsyncClient, headers: dict[str, str], path: str, *, other: str, **asked: Any) -> None:
    """Hold a list to it that the cursor of one search is good for no other."""
    one = await http.get(path, headers=headers, params=asked | {"limit": 1})
    again = asked | {"limit": 1, "cursor": one.json()["next_cursor"]}
    assert (await http.get(path, headers=headers, params=again)).status_code == 200
    without = {name: value for name, value in again.items() if name != "q"}
    for query in (without | {"q": other}, without):
        answer = await http.get(path, headers=headers, params=query)
        assert refusal_of(answer) == (422, "invalid-cursor")


async def test_clients_are_found_by_the_words_of_their_names_and_sorted_by_them(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    names = ["ERP north", "CRM north", "ERP south", "ERP north"]
    headers = {tenant.id: await bearer(process, tenant) for tenant in (acme, globex)}
    for name in names:
        made = await http.post("/v1/clients", headers=headers[acme.id], json={"name": name, "scopes": ["items:read"]})
        assert made.status_code == 201

    async def found(**asked: Any) -> list[str]:
        return [one["name"] for one in await pages(http, headers[acme.id], "/v1/clients", **asked)]

    for limit in (1, 100):
        assert await found(limit=limit, q="north") == ["ERP north", "CRM north", "ERP north"]
        assert await found(limit=limit, q="erp -north", sort="name") == ["ERP south"]
        assert await found(limit=limit, q="north", sort="name") == ["CRM north", "ERP north", "ERP north"]
        assert await found(limit=limit, q="north", sort="-name") == ["ERP north", "ERP north", "CRM north"]
        assert await found(limit=limit, sort="name", is_active="true") == sorted([*names, "test"], key=str.lower)
        assert await found(limit=limit, q="nor") == []
    ids = [one["id"] for one in await pages(http, headers[acme.id], "/v1/clients", limit=1, sort="name")]
    down = [one["id"] for one in await pages(http, headers[acme.id], "/v1/clients", limit=2, sort="-name")]
    assert (len(set(ids)), down) == (5, ids[::-1])
    assert await pages(http, headers[globex.id], "/v1/clients", limit=1, q="north") == []
    await refused(http, headers[acme.id], "/v1/clients", q="north", other="south")


async def test_a_page_can_end_at_the_longest_name(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    headers = await bearer(process, acme)
    for letter in ("\x01", "🪑", '"'):
        made = await http.post("/v1/clients", headers=headers, json={"name": letter * 200, "scopes": []})
        assert made.status_code == 201
    assert len(await pages(http, headers, "/v1/clients", limit=1, sort="name")) == 4


async def test_events_are_found_by_the_whole_of_a_name_and_by_each_of_its_parts(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    sold, painted, both = "planet.sold", "planet.twice_painted", "far_moon.sold"
    for tenant, actions in ((acme, (sold, painted, both)), (globex, (sold,))):
        async with open_tenant_session(process.database, tenant) as session:
            for action in actions:
                log = AuditLog(session, Actor.system("stars.count_all"))
                await log.record(action, ("bright_sky", None), changes={"title": {"from": "comet", "to": None}})
    headers = await bearer(process, acme)

    async def found(q: str, **asked: Any) -> list[str]:
        events = await pages(http, headers, "/v1/audit", limit=1, q=q, **asked)
        exported = await http.get("/v1/audit/export", headers=headers, params={"q": q, **asked})
        assert [json.loads(line) for line in exported.text.splitlines()] == events
        return [event["action"] for event in events]

    assert await found("sold") == [both, sold]
    assert await found("sold", sort="created_at") == [sold, both]
    assert await found("sold", action=both) == [both]
    assert await found("planet") == [painted, sold]
    assert await found("planet -sold") == [painted]
    for q in ("painted", "twice_painted", "planet.twice_painted", "PLANET painted", '"twice painted"'):
        assert await found(q) == [painted], q
    for q in ("bright_sky", "sky", "stars.count_all", "count", "sold or painted"):
        assert len(await found(q)) == 3, q
    assert await found("sol") == []
    assert await found("comet") == []
    await refused(http, headers, "/v1/audit", q="sold", other="planet")


async def test_events_of_the_platform_are_searched_in_the_same_way(http: httpx.AsyncClient, process: Process) -> None:
    headers, path = await admin(process), "/platform/v1/audit"
    tenant = await provisioned(process)
    await http.put(f"/platform/v1/tenants/{tenant.id}/suspension", headers=headers)
    await http.delete(f"/platform/v1/tenants/{tenant.id}/suspension", headers=headers)

    async def found(**asked: Any) -> list[str]:
        events = await pages(http, headers, path, limit=1, target_id=str(tenant.id), **asked)
        query = {"target_id": str(tenant.id), **asked}
        exported = await http.get(f"{path}/export", headers=headers, params=query)
        assert [json.loads(line) for line in exported.text.splitlines()] == events
        return [event["action"] for event in events]

    assert await found(q="tenant") == ["tenant.resumed", "tenant.suspended", "tenant.provisioned"]
    assert await found(q="suspended") == ["tenant.suspended"]
    assert await found(q="-suspended", sort="created_at") == ["tenant.provisioned", "tenant.resumed"]
    assert await found(q="nothing") == []
    await refused(http, headers, path, q="tenant", target_id=str(tenant.id), other="suspended")


async def plan(owner: DriverConnection, read: Read[Any], **values: Any) -> dict[str, Any]:
    found = await owner.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {read.sql}", *read.arguments(values))
    return json.loads(found)[0]["Plan"]


def indexes_of(node: dict[str, Any]) -> list[str]:
    """Return the indexes that a plan uses."""
    below = [name for child in node.get("Plans", []) for name in indexes_of(child)]
    return [node["Index Name"], *below] if "Index Name" in node else below


@pytest.mark.parametrize(
    ("listing", "struct", "index"),
    [
        (ITEMS, Item, "ix_items_search"),
        (USERS, User, "ix_users_search"),
        (CLIENTS, ApiClient, "ix_api_clients_search"),
        (EVENTS, AuditEvent, "ix_audit_events_search"),
        (PLATFORM_EVENTS, AuditEvent, "ix_audit_events_search"),
        (TENANTS, Tenant, "ix_tenants_search"),
    ],
)
async def test_what_a_list_searches_is_what_its_index_is_on(
    acme: TenantRef, owner: DriverConnection, listing: Listing[Any], struct: type[Any], index: str
) -> None:
    await owner.execute(f'SET search_path = "{acme.schema}"; SET enable_seqscan = off; SET enable_indexscan = off')
    for is_descending in (False, True):
        read = Read(listing.statement(("created_at", is_descending, frozenset({"q"})), is_first=True), struct)
        assert indexes_of(await plan(owner, read, q="rare", limit=21)) == [index]


@pytest.mark.parametrize("is_descending", [False, True])
async def test_a_page_of_a_long_log_that_is_searched_costs_what_the_first_does(
    process: Process, acme: TenantRef, owner: DriverConnection, is_descending: bool
) -> None:
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text(_FILL))
    await owner.execute(f'SET search_path = "{acme.schema}"')
    await owner.execute("SELECT gin_clean_pending_list('ix_audit_events_search')")
    await owner.execute("ANALYZE audit_events")
    table = await owner.fetchval("SELECT pg_relation_size('audit_events') / current_setting('block_size')::bigint")
    order = "DESC" if is_descending else "ASC"
    for word, rows in (("sold", 30), ("painted", 15_000)):
        after = await owner.fetchval(
            f"SELECT id FROM audit_events WHERE action LIKE '%' || $1 ORDER BY id {order} OFFSET {rows} LIMIT 1", word
        )
        blocks: list[int] = []
        for is_first in (True, False):
            shape = ("created_at", is_descending, frozenset({"q"}))
            read = Read(EVENTS.statement(shape, is_first=is_first), AuditEvent)
            behind = {} if is_first else {"after_id": after}
            found = await plan(owner, read, q=word, limit=11, **behind)
            assert found["Actual Rows"] >= 9
            blocks.append(found["Shared Hit Blocks"] + found["Shared Read Blocks"])
            used = indexes_of(found)
            assert used == ["pk_audit_events"] if word == "painted" else "ix_audit_events_search" in used
        assert blocks[1] <= blocks[0] + 10
        assert max(blocks) < table / 2
