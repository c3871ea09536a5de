"""Limits hold exactly where something is made, however many make it at once, and those of one tenant for no other."""

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.invitations.service import InvitationService
from tests.api.problems import FIELDS
from tests.api.test_items_import import NDJSON, count_of, lines_of
from tests.factories import OPERATOR, bearer, item, new_slug
from tests.people import PASSWORD, post, set_registration, user
from tests.plans import changed, decided, exceeded, plan_of

DESK = {"title": "Desk"}


async def make(http: httpx.AsyncClient, headers: dict[str, str], times: int) -> list[int]:
    """Make items at once, and return how each attempt was answered."""
    answers = await asyncio.gather(*(http.post("/v1/items", headers=headers, json=DESK) for _ in range(times)))
    return sorted(answer.status_code for answer in answers)


async def limits_of(http: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, tuple[int | None, int, int | None]]:
    """Return limit, used and remaining of what the tenant sees."""
    answer = await http.get("/v1/tenant/limits", headers=headers)
    assert answer.status_code == 200, answer.text
    return {one["name"]: (one["limit"], one["used"], one["remaining"]) for one in answer.json()["limits"]}


async def test_of_twenty_at_once_with_room_for_five_exactly_five_are_made(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    await decided(http, process, acme, limits={"items": 7})
    for _ in range(2):
        await item(process, acme)
    statuses, others = await asyncio.gather(make(http, ours, 20), make(http, theirs, 10))
    assert statuses == [201] * 5 + [403] * 15
    assert others == [201] * 10
    assert (await count_of(process, acme), await count_of(process, globex)) == (7, 10)
    refused = await http.post("/v1/items", headers=ours, json=DESK)
    assert exceeded(refused) == ("items", 7, 7)
    assert (await limits_of(http, ours))["items"] == (7, 7, 0)
    assert (await limits_of(http, theirs))["items"] == (None, 10, None)


async def test_one_that_is_deleted_makes_room_for_one_and_a_restoring_needs_room(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    await decided(http, process, acme, limits={"items": 2})
    first, _ = [(await http.post("/v1/items", headers=headers, json=DESK)).json()["id"] for _ in range(2)]
    assert exceeded(await http.post("/v1/items", headers=headers, json=DESK)) == ("items", 2, 2)
    assert (await http.delete(f"/v1/items/{first}", headers=headers)).status_code == 204
    second = await http.post("/v1/items", headers=headers, json=DESK)
    assert second.status_code == 201
    restored = await http.post(f"/v1/items/{first}/restore", headers=headers)
    assert exceeded(restored) == ("items", 2, 2)
    present = await http.post(f"/v1/items/{second.json()['id']}/restore", headers=headers)
    assert present.status_code == 200  # it was not deleted: nothing is made
    assert (await http.delete(f"/v1/items/{second.json()['id']}", headers=headers)).status_code == 204
    statuses = await asyncio.gather(
        *(http.post(f"/v1/items/{one}/restore", headers=headers) for one in (first, second.json()["id"]))
    )
    assert sorted(one.status_code for one in statuses) == [200, 403]


async def test_what_is_not_made_after_all_leaves_its_room_to_others(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, nobody = await bearer(process, acme), {"owner_id": "0198c5f2-0000-7000-8000-000000000000"}
    await decided(http, process, acme, limits={"items": 1})
    for _ in range(3):
        refused = await http.post("/v1/items", headers=headers, json=DESK | nobody)
        assert refused.status_code == 422
    assert await make(http, headers, 2) == [201, 403]


async def test_bulk_makes_the_first_lines_for_which_there_is_room(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, theirs = await bearer(process, acme), await bearer(process, globex)
    await decided(http, process, acme, limits={"items": 3})
    lines = [{"title": "1"}, {"title": ""}, {"title": "2"}, {"title": "3"}, {"title": "4"}, {"title": "5"}]
    answer = await http.post("/v1/items/bulk", headers=headers, json={"items": lines})
    assert answer.status_code == 200
    assert [line["status"] for line in answer.json()["results"]] == [201, 422, 201, 201, 403, 403]
    assert answer.json()["results"][5]["problem"]["type"] == "/docs/problems/limit-exceeded"
    assert (answer.json()["succeeded"], answer.json()["failed"]) == (3, 3)
    again = await http.post("/v1/items/bulk", headers=headers, json={"items": lines})
    assert [line["status"] for line in again.json()["results"]] == [403, 422, 403, 403, 403, 403]
    assert await count_of(process, acme) == 3
    others = await http.post("/v1/items/bulk", headers=theirs, json={"items": lines})
    assert others.json()["succeeded"] == 5


async def test_many_bulks_and_single_ones_at_once_make_no_more_than_there_may_be(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    await decided(http, process, acme, limits={"items": 50})
    bulk = {"items": [DESK] * 7}
    answers = await asyncio.gather(
        *(http.post("/v1/items/bulk", headers=headers, json=bulk) for _ in range(10)), make(http, headers, 10)
    )
    made = sum(answer.json()["succeeded"] for answer in answers[:-1]) + answers[-1].count(201)
    assert made == await count_of(process, acme) == 50


async def test_an_import_that_does_not_fit_makes_nothing_and_one_that_fits_all(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    await decided(http, process, acme, limits={"items": 5})
    await item(process, acme)
    for rows in (5, 6, 2500):
        refused = await http.post("/v1/items/import", headers=headers | NDJSON, content=lines_of(*[DESK] * rows))
        assert exceeded(refused) == ("items", 5, 1)
    fitting = [http.post("/v1/items/import", headers=headers | NDJSON, content=lines_of(*[DESK] * 4)) for _ in "ab"]
    assert sorted(answer.status_code for answer in await asyncio.gather(*fitting)) == [200, 403]
    assert await count_of(process, acme) == 5


async def test_a_lower_limit_takes_nothing_away_and_lets_nothing_be_made(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    plan = await plan_of(http, process, acme, globex, limits={"items": 5})
    assert await make(http, ours, 4) == [201] * 4
    await changed(http, process, plan, limits={"items": 2})
    assert exceeded(await http.post("/v1/items", headers=ours, json=DESK)) == ("items", 2, 4)
    assert (await limits_of(http, ours))["items"] == (2, 4, 0)
    assert await make(http, theirs, 3) == [201, 201, 403]
    listed = (await http.get("/v1/items", headers=ours)).json()["items"]
    assert len(listed) == 4
    changing = await http.patch(f"/v1/items/{listed[0]['id']}", headers=ours, json={"title": "Chair"})
    assert changing.status_code == 200
    await changed(http, process, plan, limits={"items": None})
    assert await make(http, ours, 3) == [201] * 3


async def test_what_was_made_without_a_limit_counts_when_there_is_one(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    await decided(http, process, acme, limits={"items": 5})
    assert await make(http, headers, 1) == [201]
    await decided(http, process, acme, limits={"items": None})
    assert await make(http, headers, 3) == [201] * 3
    for limit, statuses in ((6, [201, 201, 403, 403]), (None, [201] * 4), (6, [403] * 4), (5, [403] * 4)):
        await decided(http, process, acme, limits={"items": limit})
        assert await make(http, headers, 4) == statuses


async def test_a_limit_that_was_lifted_for_a_while_counts_what_was_made_meanwhile(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    plan = await plan_of(http, process, acme, globex, limits={"items": 5})
    assert await make(http, ours, 1) == [201]
    await changed(http, process, plan, limits={"items": None})
    assert await make(http, ours, 3) == [201] * 3
    await changed(http, process, plan, limits={"items": 5})
    assert await make(http, ours, 3) == [201, 403, 403]
    other = await plan_of(http, process, acme)
    assert await make(http, ours, 2) == [201, 201]
    assert other != plan
    await decided(http, process, acme, plan=plan)
    assert await make(http, ours, 1) == [403]
    assert await make(http, theirs, 6) == [201] * 5 + [403]


async def test_a_tenants_own_limit_stands_over_that_of_its_plan(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    await plan_of(http, process, acme, globex, limits={"items": 1})
    await decided(http, process, acme, limits={"items": 2})
    assert await make(http, ours, 3) == [201, 201, 403]
    assert await make(http, theirs, 3) == [201, 403, 403]
    await decided(http, process, acme, limits={"items": 0})
    assert exceeded(await http.post("/v1/items", headers=ours, json=DESK)) == ("items", 0, 2)


async def test_active_users_are_limited_however_they_come(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, theirs = await bearer(process, acme), await bearer(process, globex)
    await user(process, acme, f"{new_slug()}@acme.example", "owner")
    await decided(http, process, acme, limits={"users": 3})

    async def create(headers: dict[str, str]) -> httpx.Response:
        return await http.post("/v1/users", headers=headers, json={"email": f"{new_slug()}@acme.example"})

    answers = await asyncio.gather(*(create(headers) for _ in range(10)))
    made = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    assert len(made) == 2
    assert {exceeded(answer) for answer in answers if answer.status_code != 201} == {("users", 3, 3)}
    disabled = await http.patch(f"/v1/users/{made[0]}", headers=headers, json={"is_active": False})
    assert disabled.status_code == 200
    assert (await create(headers)).status_code == 201
    enabled = await http.patch(f"/v1/users/{made[0]}", headers=headers, json={"is_active": True})
    assert exceeded(enabled) == ("users", 3, 3)
    still = await http.patch(f"/v1/users/{made[1]}", headers=headers, json={"is_active": True, "name": "Sam"})
    assert still.status_code == 200
    assert (await create(theirs)).status_code == 201


async def test_who_signs_up_is_told_no_numbers(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    await set_registration(process, acme, "open")
    await decided(http, process, acme, limits={"users": 1})

    async def sign_up() -> httpx.Response:
        return await post(http, acme, "register", {"email": f"{new_slug()}@acme.example", "password": PASSWORD})

    answers = await asyncio.gather(*(sign_up() for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
    document: dict[str, Any] = next(answer.json() for answer in answers if answer.status_code == 403)
    assert set(document) == FIELDS | {"limit"}
    assert document["limit"] == "users"


async def test_an_invitation_that_finds_no_room_stays_good_until_there_is(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    address = f"{new_slug()}@acme.example"
    async with open_tenant_session(process.database, acme) as session:
        invitations = InvitationService(session=session)
        invited = await invitations.invite(email=address, role="member", by=OPERATOR)
        pepper = await read_pepper(session, process.key, acme)
        secret = await invitations.renew_secret(invited.id, pepper=pepper)
    body = {"email": address, "password": PASSWORD, "invitation": secret}
    await decided(http, process, acme, limits={"users": 0})
    assert (await post(http, acme, "register", body)).status_code == 403
    await decided(http, process, acme, limits={"users": 1})
    answers = await asyncio.gather(*(post(http, acme, "register", body) for _ in range(2)))
    assert 201 in {answer.status_code for answer in answers}
    assert (await limits_of(http, await bearer(process, acme)))["users"] == (1, 1, 0)


async def test_storage_is_what_the_files_of_the_tables_take_at_the_moment(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    _, used, _ = (await limits_of(http, ours))["storage_bytes"]
    assert 100_000 < used < 2_000_000
    await decided(http, process, acme, limits={"storage_bytes": used + 300_000})
    # As text that does not become smaller when PostgreSQL compresses it.
    big = {"items": [{"title": "Desk", "description": secrets.token_hex(4500)} for _ in range(200)]}
    assert (await http.post("/v1/items/bulk", headers=ours, json=big)).status_code == 200
    limit, allowed, now_used = exceeded(await http.post("/v1/items", headers=ours, json=DESK))
    assert (limit, allowed) == ("storage_bytes", used + 300_000)
    assert now_used >= allowed
    for refused in (
        await http.post("/v1/items/bulk", headers=ours, json={"items": [DESK]}),
        await http.post("/v1/items/import", headers=ours | NDJSON, content=lines_of(DESK)),
    ):
        assert exceeded(refused)[0] == "storage_bytes"
    assert (await http.post("/v1/items", headers=theirs, json=DESK)).status_code == 201
    assert (await http.get("/v1/items", headers=ours)).status_code == 200


async def test_room_is_kept_in_the_tenants_own_schema_and_nowhere_without_a_limit(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    async def rooms(tenant: TenantRef) -> list[tuple[Any, ...]]:
        async with open_tenant_session(process.database, tenant) as session:
            rows = await session.execute(text("SELECT name, room FROM limit_rooms"))
            return [tuple(row) for row in rows]

    await decided(http, process, acme, limits={"items": 10})
    for tenant in (acme, globex):
        assert await make(http, await bearer(process, tenant), 3) == [201] * 3
    assert await rooms(acme) == [("items", 7)]
    assert await rooms(globex) == []


@pytest.mark.parametrize("scope", ["items:read", "users:read"])
async def test_limits_are_shown_to_who_may_read_the_tenant(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, scope: str
) -> None:
    refused = await http.get("/v1/tenant/limits", headers=await bearer(process, acme, scope))
    assert refused.status_code == 403
