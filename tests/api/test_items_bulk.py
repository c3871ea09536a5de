"""Many items in one request: a result for each line, in one transaction."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.slices import WRITTEN
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import pointers_of, refusal_of
from tests.factories import bearer, item, new_slug
from tests.isolation.test_round_trips import watched
from tests.people import user

UNKNOWN = "0198c5f2-0000-7000-8000-000000000000"


async def count_of(process: Process, tenant: TenantRef) -> int:
    async with open_tenant_session(process.database, tenant) as session:
        return int(await session.scalar(text("SELECT count(*) FROM items")) or 0)


def outcomes(answer: httpx.Response) -> list[tuple[int, str | None]]:
    """Return status and problem of each line."""
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    lines = document["results"]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert document["succeeded"] == sum(line["item"] is not None for line in lines)
    assert document["failed"] == sum(line["problem"] is not None for line in lines)
    assert document["succeeded"] + document["failed"] == len(lines)
    return [(line["status"], line["problem"] and line["problem"]["type"].rpartition("/")[2]) for line in lines]


async def test_lines_that_are_refused_take_no_other_with_them(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    lines = [
        {"title": "Desk", "tags": ["Oak", "oak"]},
        {"title": ""},
        {"titel": "Chair"},
        {"title": "Lamp", "owner_id": UNKNOWN},
        {"title": "Shelf", "tags": ["a", " "]},
        "Bed",
        None,
        {"title": "a\0b", "status": "lost"},
        {"title": "Sofa", "status": "done"},
    ]
    answer = await http.post("/v1/items/bulk", headers=headers, json={"items": lines})
    assert outcomes(answer) == [
        (201, None),
        (422, "validation-failed"),
        (422, "validation-failed"),
        (422, "invalid-owner"),
        (422, "validation-failed"),
        (422, "validation-failed"),
        (422, "validation-failed"),
        (422, "validation-failed"),
        (201, None),
    ]
    results = answer.json()["results"]
    pointers = [[fault["pointer"] for fault in line["problem"]["errors"]] for line in results[1:8]]
    assert pointers == [
        ["/items/1/title"],
        ["/items/2/titel", "/items/2/title"],
        ["/items/3/owner_id"],
        ["/items/4/tags/1"],
        ["/items/5"],
        ["/items/6"],
        ["/items/7/title", "/items/7/status"],
    ]
    listed = (await http.get("/v1/items", headers=headers)).json()["items"]
    assert listed == [results[0]["item"], results[8]["item"]]
    assert (listed[0]["tags"], listed[1]["status"]) == (["oak"], "done")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"items": []}, ["/items"]),
        ({"items": [{"title": "Desk"}] * 1001}, ["/items"]),
        ({"items": {}}, ["/items"]),
        ({"items": None}, ["/items"]),
        ({}, ["/items"]),
        ([{"title": "Desk"}], [""]),
        ({"items": [{"title": "Desk"}], "atomic": True}, ["/atomic"]),
    ],
)
async def test_what_is_no_list_of_lines_is_refused_as_a_whole(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, method: str, body: object, pointers: list[str]
) -> None:
    refused = await http.request(method, "/v1/items/bulk", headers=await bearer(process, acme), json=body)
    assert refusal_of(refused) == (422, "validation-failed")
    assert pointers_of(refused) == pointers
    assert await count_of(process, acme) == 0


async def test_changes_are_made_where_they_can_be_and_told_line_by_line(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    desk, chair, lamp, gone = [await item(process, acme, name) for name in ("Desk", "Chair", "Lamp", "Gone")]
    foreign = await item(process, globex, "Theirs")
    await http.delete(f"/v1/items/{gone.id}", headers=headers)
    lines = [
        {"id": str(desk.id), "title": "Table", "version": 1},
        {"id": str(desk.id), "title": "Bench"},
        {"id": str(chair.id), "status": "done", "version": 2},
        {"id": str(lamp.id), "description": None, "tags": ["warm"]},
        {"id": str(gone.id), "title": "Back"},
        {"id": str(foreign.id), "title": "Mine"},
        {"id": UNKNOWN, "title": "New"},
        {"title": "Nobody"},
        {"id": str(chair.id), "title": None},
        {"id": str(chair.id), "owner_id": UNKNOWN},
    ]
    answer = await http.patch("/v1/items/bulk", headers=headers, json={"items": lines})
    assert outcomes(answer) == [
        (200, None),
        (422, "validation-failed"),
        (412, "precondition-failed"),
        (200, None),
        (404, "not-found"),
        (404, "not-found"),
        (404, "not-found"),
        (422, "validation-failed"),
        (422, "validation-failed"),
        (422, "validation-failed"),
    ]
    results = answer.json()["results"]
    assert results[1]["problem"]["errors"] == [{"pointer": "/items/1/id", "detail": "is that of /items/0 too"}]
    assert [(row["title"], row["tags"], row["version"]) for row in (results[0]["item"], results[3]["item"])] == [
        ("Table", [], 2),
        ("Lamp", ["warm"], 2),
    ]
    for row, line in ((desk, results[0]), (lamp, results[3])):
        assert (await http.get(f"/v1/items/{row.id}", headers=headers)).json() == line["item"]
    assert (await http.get(f"/v1/items/{chair.id}", headers=headers)).json()["version"] == 1
    theirs = await http.get(f"/v1/items/{foreign.id}", headers=await bearer(process, globex))
    assert (theirs.json()["title"], theirs.json()["version"]) == ("Theirs", 1)


async def test_each_line_of_a_change_tells_the_moment_that_is_kept(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    lines = [{"id": str((await item(process, acme)).id), "status": "done"} for _ in range(5)]
    answer = await http.patch("/v1/items/bulk", headers=headers, json={"items": lines[::-1]})
    told = {line["item"]["id"]: line["item"] for line in answer.json()["results"]}
    kept = (await http.get("/v1/items", headers=headers)).json()["items"]
    assert [told[row["id"]] for row in kept] == kept
    assert all(row["updated_at"] > row["created_at"] for row in kept)


async def test_an_owner_is_looked_at_in_a_change_of_many_too(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, row = await bearer(process, acme), await item(process, acme)
    lines = [{"id": str(row.id), "title": "Table", "owner_id": UNKNOWN}]
    answer = await http.patch("/v1/items/bulk", headers=headers, json={"items": lines})
    assert outcomes(answer) == [(422, "invalid-owner")]
    assert (await http.get(f"/v1/items/{row.id}", headers=headers)).json()["title"] == "Desk"


async def test_an_item_keeps_an_owner_who_is_disabled_and_no_other_gets_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, other = await bearer(process, acme), await item(process, acme)
    owner = str((await user(process, acme, f"{new_slug()}@acme.example")).id)
    made = await http.post("/v1/items", headers=headers, json={"title": "Desk", "owner_id": owner})
    await http.patch(f"/v1/users/{owner}", headers=headers, json={"is_active": False})
    lines = [{"id": id_, "title": "Table", "owner_id": owner} for id_ in (made.json()["id"], str(other.id))]
    answer = await http.patch("/v1/items/bulk", headers=headers, json={"items": lines})
    assert outcomes(answer) == [(200, None), (422, "invalid-owner")]


async def test_a_tenant_that_demands_if_match_demands_a_version_of_each_line(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, row, other = await bearer(process, acme), await item(process, acme), await item(process, acme)
    await http.patch("/v1/tenant", headers=headers, json={"require_if_match": True})
    lines = [{"id": str(row.id), "title": "Table"}, {"id": str(other.id), "title": "Table", "version": 1}]
    answer = await http.patch("/v1/items/bulk", headers=headers, json={"items": lines})
    assert outcomes(answer) == [(428, "precondition-required"), (200, None)]


async def test_two_who_change_the_same_items_in_another_order_do_not_wait_for_each_other_for_ever(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    made = await http.post("/v1/items/bulk", headers=headers, json={"items": [{"title": "x"}] * 200})
    ids = [line["item"]["id"] for line in made.json()["results"]]
    for round_ in range(3):
        lines = [{"id": id_, "title": f"{round_}", "version": 1 + round_} for id_ in ids]
        answers = await asyncio.gather(
            http.patch("/v1/items/bulk", headers=headers, json={"items": lines}),
            http.patch("/v1/items/bulk", headers=headers, json={"items": lines[::-1]}),
        )
        assert sorted(len({*outcomes(answer)}) for answer in answers) == [1, 1]
        assert {*outcomes(answers[0]), *outcomes(answers[1])} == {(200, None), (412, "precondition-failed")}


@pytest.mark.not_pooled("counts round trips, of which old poolers need more")
async def test_many_lines_take_a_few_messages_for_each_hundred_and_not_one_each(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    async with watched(settings) as (client, traffic):
        headers = await bearer(process, acme)

        async def round_trips(method: str, lines: list[dict[str, Any]]) -> tuple[int, httpx.Response]:
            traffic.reset()
            answer = await client.request(method, "/v1/items/bulk", headers=headers, json={"items": lines})
            assert answer.json()["failed"] == 0
            return traffic.round_trips, answer

        for _ in range(2):  # statements are prepared
            taken, made = await round_trips("POST", [{"title": "Desk"}] * 1000)
            ids = [line["item"]["id"] for line in made.json()["results"]]
            changed, _answer = await round_trips("PATCH", [{"id": id_, "title": id_, "tags": ["x"]} for id_ in ids])
        assert taken <= 3 + 1000 // WRITTEN
        assert changed <= 4 + 2 * 1000 // WRITTEN


async def test_many_items_that_are_made_with_a_key_are_made_once(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme) | {"Idempotency-Key": "once"}
    answers = [
        await http.post("/v1/items/bulk", headers=headers, json={"items": [{"title": "Desk"}, {}]}) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert await count_of(process, acme) == 1


async def test_a_body_larger_than_the_address_takes_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    lines = [{"title": "x", "description": "y" * 10_000}] * 500
    refused = await http.post("/v1/items/bulk", headers=await bearer(process, acme), json={"items": lines})
    assert refusal_of(refused) == (413, "body-too-large")
    answer = await http.post("/v1/items/bulk", headers=await bearer(process, acme), json={"items": lines[:300]})
    assert answer.json()["succeeded"] == 300
