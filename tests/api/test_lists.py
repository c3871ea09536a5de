"""Lists are sorted, filtered and searched by what they declare, and by nothing else."""

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leasehold.core.database import DriverConnection
from leasehold.core.reads import Read
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients.repository import CLIENTS
from leasehold.workspace.clients.schemas import ApiClient
from leasehold.workspace.items import schemas
from leasehold.workspace.items.repository import ITEMS
from tests.api.problems import pointers_of, refusal_of
from tests.factories import admin, api_client, bearer

_FILL = """
INSERT INTO items (id, title, description, status, tags, created_at, updated_at)
SELECT gen_random_uuid(), 'Desk ' || n, CASE WHEN n % 5 = 0 THEN 'round table' ELSE '' END,
       (ARRAY['open', 'done', 'archived'])[1 + n % 3], CASE WHEN n % 2 = 0 THEN ARRAY['oak'] ELSE '{}' END,
       now(), CAST(:since AS timestamptz) + make_interval(secs => n % :moments)
  FROM generate_series(1, :rows) n
"""
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


async def fill(process: Process, tenant: TenantRef, rows: int, *, moments: int) -> None:
    """Give a tenant items of which many were last changed in the same moment."""
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(text(_FILL), {"rows": rows, "moments": moments, "since": SINCE})


async def page(http: httpx.AsyncClient, headers: dict[str, str], path: str = "/v1/items", **asked: Any) -> Any:
    answer = await http.get(path, headers=headers, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def all_pages(http: httpx.AsyncClient, headers: dict[str, str], **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        one = await page(http, headers, **asked, **cursor)
        found += one["items"]
        if not one["has_more"]:
            assert one["next_cursor"] is None
            return found
        assert len(one["items"]) == asked["limit"]
        cursor = {"cursor": one["next_cursor"]}


async def test_pages_in_any_order_and_by_any_filter_are_what_sorting_all_rows_gives(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await fill(process, acme, 60, moments=4)
    headers = await bearer(process, acme)
    rows = await all_pages(http, headers, limit=100)
    assert len(rows) == 60
    filters: dict[str, tuple[dict[str, str], Any]] = {
        "none": ({}, lambda _row: True),
        "status": ({"status": "done"}, lambda row: row["status"] == "done"),
        "tag": ({"tag": "oak"}, lambda row: "oak" in row["tags"]),
        "both": ({"status": "open", "tag": "oak"}, lambda row: row["status"] == "open" and "oak" in row["tags"]),
        "range": (
            {"updated_at[gt]": SINCE.isoformat(), "updated_at[lte]": (SINCE + timedelta(seconds=2)).isoformat()},
            lambda row: row["updated_at"][17:19] in {"01", "02"},
        ),
        "words": ({"q": "table"}, lambda row: "table" in row["description"]),
        "words and more": (
            {"q": "round -7", "status": "done"},
            lambda row: "table" in row["description"] and row["status"] == "done",
        ),
        "nobody's": ({"owner_id": "01981a77-5d3b-7c31-8f3a-2f1f0c1d7a11"}, lambda _row: False),
    }
    for (asked, matches), sort, limit in product(filters.values(), ("created_at", "updated_at"), (7, 60)):
        key = (lambda row: row["id"]) if sort == "created_at" else (lambda row: (row["updated_at"], row["id"]))
        expected = sorted(filter(matches, rows), key=key)
        assert await all_pages(http, headers, limit=limit, sort=sort, **asked) == expected
        assert await all_pages(http, headers, limit=limit, sort=f"-{sort}", **asked) == expected[::-1]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "-updated_at"])
async def test_rows_that_come_and_go_while_somebody_pages_are_neither_repeated_nor_left_out(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, sort: str
) -> None:
    await fill(process, acme, 30, moments=3)
    headers = await bearer(process, acme)
    before = [row["id"] for row in await all_pages(http, headers, limit=100)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        one = await page(http, headers, limit=4, sort=sort, **cursor)
        seen += [row["id"] for row in one["items"]]
        await fill(process, acme, 3, moments=3)
        await http.delete(
            f"/v1/items/{one['items'][-1]['id']}", headers=headers
        )  # the very row the next page is behind
        if not one["has_more"] or len(seen) > 200:
            break
        cursor = {"cursor": one["next_cursor"]}
    assert len(seen) == len(set(seen))
    assert set(before) <= set(seen)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/users", {"sort": "-created_at", "role": "owner", "is_active": "true", "q": "sam"}),
        ("/v1/clients", {"sort": "-name", "is_active": "false", "created_at[gte]": "2026-01-01T00:00:00Z", "q": "erp"}),
        ("/v1/audit", {"sort": "created_at", "target_kind": "thing", "created_at[gte]": SINCE.isoformat(), "q": "erp"}),
        ("/v1/keys", {"is_active": "true", "expires_at[lt]": "2030-01-01T00:00:00Z"}),
        ("/v1/invitations", {"role": "member", "email": "sam@acme.example"}),
        ("/v1/items", {"created_at[gte]": "2026-01-01T00:00:00+02:00", "created_at[lt]": "9999-12-31T23:59:59Z"}),
    ],
)
async def test_every_collection_of_a_tenant_is_asked_in_the_same_way(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, path: str, asked: dict[str, str]
) -> None:
    assert (await page(http, await bearer(process, acme), path, **asked))["items"] == []


async def test_tenants_are_found_by_state_slug_and_words(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, path = await admin(process), "/platform/v1/tenants"
    for asked in ({"slug": acme.slug}, {"q": acme.slug}, {"slug": acme.slug, "state": "active", "is_canary": "false"}):
        assert [one["slug"] for one in (await page(http, headers, path, **asked))["items"]] == [acme.slug]
    assert (await page(http, headers, path, slug=acme.slug, state="suspended"))["items"] == []
    slugs = [one["slug"] for one in (await page(http, headers, path, sort="-slug", limit=100))["items"]]
    assert slugs == sorted(slugs, reverse=True)


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"sort": "password_hash"}, "?sort"),
        ({"sort": "title"}, "?sort"),
        ({"sort": ""}, "?sort"),
        ({"sort": "--created_at"}, "?sort"),
        ({"sort": "created_at; DROP TABLE items"}, "?sort"),
        ({"sort": ["updated_at", "created_at"]}, "?sort"),
        ({"status": "lost"}, "?status"),
        ({"status": ["open", "done"]}, "?status"),
        ({"status[gte]": "open"}, "?status[gte]"),
        ({"owner_id": "x"}, "?owner_id"),
        ({"owner_id": ""}, "?owner_id"),
        ({"tag": "a\x00b"}, "?tag"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "?created_at"),
        ({"created_at[gte]": "yesterday"}, "?created_at[gte]"),
        ({"created_at[gte]": "1700000000"}, "?created_at[gte]"),
        ({"created_at[gte]": "2026-01-01T00:00:00"}, "?created_at[gte]"),
        ({"created_at[ne]": "2026-01-01T00:00:00Z"}, "?created_at[ne]"),
        ({"q": ""}, "?q"),
        ({"q": "x" * 201}, "?q"),
        ({"q": "a\x00b"}, "?q"),
        ({"deleted_at[gte]": "2026-01-01T00:00:00Z"}, "?deleted_at[gte]"),
        ({"colour": "red"}, "?colour"),
        ({"offset": "20"}, "?offset"),
    ],
)
async def test_what_a_list_has_not_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, asked: dict[str, Any], pointer: str
) -> None:
    refused = await http.get("/v1/items", headers=await bearer(process, acme), params=asked)
    assert (refusal_of(refused), pointers_of(refused)) == ((422, "validation-failed"), [pointer])


@pytest.mark.parametrize("words", ["'", '"', "\\", "a & | !", "(((", ":*", "-", "or", "%", "\ud7ff", "🪑", "x" * 200])
async def test_any_words_can_be_searched(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, words: str
) -> None:
    await page(http, await bearer(process, acme), q=words)


async def test_a_cursor_is_good_for_the_list_it_was_issued_for_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        await fill(process, tenant, 9, moments=2)
        for _ in range(3):
            await api_client(process, tenant)
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    asked = {"sort": "updated_at", "status": "done", "limit": 1}
    cursor = (await page(http, ours, **asked))["next_cursor"]
    assert (await page(http, ours, **asked, cursor=cursor))["items"]
    changes: list[dict[str, Any]] = [
        {"sort": "-updated_at"},
        {"sort": "created_at"},
        {"status": "open"},
        {"tag": "oak"},
        {"q": "desk"},
        {"updated_at[gte]": "2020-01-01T00:00:00Z"},
        {"cursor": cursor[:-1] + ("0" if cursor[-1] != "0" else "1")},
        {"cursor": "A" + cursor[1:]},
        {"cursor": cursor + "0"},
        {"cursor": cursor.partition(".")[0]},
        {"cursor": "." + cursor.partition(".")[2]},
        {"cursor": "é" + cursor},
    ]
    for change in changes:
        refused = await http.get("/v1/items", headers=ours, params=asked | {"cursor": cursor} | change)
        assert refusal_of(refused) == (422, "invalid-cursor"), change
    for headers, path, more in ((theirs, "/v1/items", asked), (ours, "/v1/clients", {"sort": "-created_at"})):
        refused = await http.get(path, headers=headers, params={"cursor": cursor, **more})
        assert refusal_of(refused) == (422, "invalid-cursor")


@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize(("sort", "order"), [("created_at", ["id"]), ("updated_at", ["updated_at", "id"])])
async def test_the_thousandth_page_reads_what_the_first_does(
    process: Process, acme: TenantRef, owner: DriverConnection, sort: str, order: list[str], is_descending: bool
) -> None:
    await fill(process, acme, 22_000, moments=500)
    await owner.execute(f'SET search_path = "{acme.schema}"')
    await owner.execute("ANALYZE items")
    columns = ", ".join(f"{one} DESC" if is_descending else one for one in order)
    behind = await owner.fetchrow(f"SELECT id, updated_at FROM items ORDER BY {columns} OFFSET 20000 LIMIT 1")
    assert behind is not None
    blocks: list[int] = []
    for is_first in (True, False):
        read = Read(ITEMS.statement((sort, is_descending, frozenset()), is_first=is_first), schemas.Item)
        values = {"limit": 21} | ({} if is_first else {"after": behind["updated_at"], "after_id": behind["id"]})
        found = await owner.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {read.sql}", *read.arguments(values))
        (limit,) = [document["Plan"] for document in json.loads(found)]
        (scan,) = limit["Plans"]
        assert (limit["Node Type"], scan["Node Type"]) == ("Limit", "Index Scan")
        assert scan["Scan Direction"] == ("Backward" if is_descending else "Forward")
        assert scan["Filter"] == "(deleted_at IS NULL)"
        assert is_first or all(column in scan["Index Cond"] for column in order)
        blocks.append(limit["Shared Hit Blocks"] + limit["Shared Read Blocks"])
    assert blocks[1] <= blocks[0] + 10


_CLIENTS = """
INSERT INTO api_clients (id, name, secret_digest, scopes, created_at, updated_at)
SELECT gen_random_uuid(), 'ERP ' || n % 50, '', '{}', now(), now() FROM generate_series(1, 5000) n
"""


@pytest.mark.parametrize("is_descending", [False, True])
async def test_a_page_of_clients_by_name_reads_what_the_first_does(
    process: Process, acme: TenantRef, owner: DriverConnection, is_descending: bool
) -> None:
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text(_CLIENTS))
    await owner.execute(f'SET search_path = "{acme.schema}"')
    await owner.execute("ANALYZE api_clients")
    order = "name DESC, id DESC" if is_descending else "name, id"
    behind = await owner.fetchrow(f"SELECT name, id FROM api_clients ORDER BY {order} OFFSET 4900 LIMIT 1")
    assert behind is not None
    blocks: list[int] = []
    for is_first in (True, False):
        read = Read(CLIENTS.statement(("name", is_descending, frozenset()), is_first=is_first), ApiClient)
        values = {"limit": 21} | ({} if is_first else {"after": behind["name"], "after_id": behind["id"]})
        found = await owner.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {read.sql}", *read.arguments(values))
        limit = json.loads(found)[0]["Plan"]
        (scan,) = limit["Plans"]
        assert (scan["Node Type"], scan["Index Name"]) == ("Index Scan", "ix_api_clients_name_id")
        assert is_first or "name" in scan["Index Cond"]
        blocks.append(limit["Shared Hit Blocks"] + limit["Shared Read Blocks"])
    assert blocks[1] <= blocks[0] + 10
