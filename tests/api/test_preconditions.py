"""Entity tags: what was decided on what has changed since is not done (RFC 9110, section 13)."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import bearer, item

STALE = '"000000000000000000000000"'


async def test_every_answer_of_one_item_has_the_tag_of_what_it_shows(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    made = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
    address = f"/v1/items/{made.json()['id']}"
    got = await http.get(address, headers=headers)
    changed = await http.patch(address, headers=headers, json={"title": "Table"})
    deleted = await http.delete(address, headers=headers)
    restored = await http.post(f"{address}/restore", headers=headers)
    tags = [answer.headers["etag"] for answer in (made, got, changed, deleted, restored)]
    assert tags[0] == tags[1]
    assert len(set(tags)) == 4
    assert all(tag[0] == tag[-1] == '"' and len(tag) == 26 for tag in tags)
    assert (await http.get(address, headers=headers)).headers["etag"] == tags[-1]
    assert "etag" not in (await http.get("/v1/items", headers=headers)).headers


async def test_two_items_that_look_alike_have_two_tags(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, one, other = await bearer(process, acme), await item(process, acme), await item(process, acme)
    tags = {(await http.get(f"/v1/items/{row.id}", headers=headers)).headers["etag"] for row in (one, other)}
    assert len(tags) == 2


async def test_what_code_without_versions_has_changed_has_another_tag(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, row = await bearer(process, acme), await item(process, acme)
    before = (await http.get(f"/v1/items/{row.id}", headers=headers)).headers["etag"]
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text("UPDATE items SET title = 'Table', updated_at = now()"))
    after = await http.get(f"/v1/items/{row.id}", headers=headers)
    assert after.json()["version"] == 1
    assert after.headers["etag"] != before


@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"a", {tag}', '"a" ,W/{tag}', "*", ' "a",,{tag}'])
async def test_who_has_it_already_gets_no_body(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, form: str
) -> None:
    headers = await bearer(process, acme)
    address = f"/v1/items/{(await item(process, acme)).id}"
    tag = (await http.get(address, headers=headers)).headers["etag"]
    answer = await http.get(address, headers=headers | {"If-None-Match": form.format(tag=tag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers


@pytest.mark.parametrize("form", [STALE, "{bare}", "", "garbage", '"{bare}'])
async def test_who_has_something_else_gets_the_item(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, form: str
) -> None:
    headers = await bearer(process, acme)
    address = f"/v1/items/{(await item(process, acme)).id}"
    bare = (await http.get(address, headers=headers)).headers["etag"].strip('"')
    answer = await http.get(address, headers=headers | {"If-None-Match": form.format(bare=bare)})
    assert (answer.status_code, answer.json()["title"]) == (200, "Desk")


async def test_a_change_is_never_answered_as_unchanged(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme) | {"If-None-Match": "*"}
    answer = await http.patch(f"/v1/items/{(await item(process, acme)).id}", headers=headers, json={})
    assert (answer.status_code, answer.json()["title"]) == (200, "Desk")


async def ask(http: httpx.AsyncClient, action: str, address: str, headers: dict[str, str]) -> httpx.Response:
    if action == "PATCH":
        return await http.patch(address, headers=headers, json={"title": "Table"})
    if action == "DELETE":
        return await http.delete(address, headers=headers)
    return await http.post(f"{address}/restore", headers=headers)


@pytest.mark.parametrize("action", ["PATCH", "DELETE", "restore"])
@pytest.mark.parametrize("form", [STALE, "W/{tag}", '"a", W/{tag}'])
async def test_what_was_decided_on_something_else_is_not_done(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, action: str, form: str
) -> None:
    headers = await bearer(process, acme)
    address = f"/v1/items/{(await item(process, acme)).id}"
    tag = (await http.get(address, headers=headers)).headers["etag"]
    refused = await ask(http, action, address, headers | {"If-Match": form.format(tag=tag)})
    assert refusal_of(refused) == (412, "precondition-failed")
    assert (await http.get(address, headers=headers)).headers["etag"] == tag


@pytest.mark.parametrize("action", ["PATCH", "DELETE", "restore"])
@pytest.mark.parametrize("form", ["{tag}", "*", '"a", {tag}', "W/{tag}, {tag}"])
async def test_what_was_decided_on_what_is_there_is_done(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, action: str, form: str
) -> None:
    headers = await bearer(process, acme)
    address = f"/v1/items/{(await item(process, acme)).id}"
    tag = (await http.get(address, headers=headers)).headers["etag"]
    if action == "restore":
        tag = (await http.delete(address, headers=headers)).headers["etag"]
    assert (await ask(http, action, address, headers | {"If-Match": form.format(tag=tag)})).is_success


@pytest.mark.parametrize("form", ["", "tag", '"a', '*, "a"', '"a" "b"', '"a"; "b"', "W/ab", '"a\x7f"'])
async def test_a_header_that_cannot_be_read_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, form: str
) -> None:
    headers = await bearer(process, acme)
    address = f"/v1/items/{(await item(process, acme)).id}"
    refused = await http.patch(address, headers=headers | {"If-Match": form}, json={"title": "Table"})
    assert refusal_of(refused) == (400, "invalid-if-match")
    assert process.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_header_that_is_sent_twice_is_one_list(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    address = f"/v1/items/{(await item(process, acme)).id}"
    tag = (await http.get(address, headers=headers)).headers["etag"]
    twice = [*headers.items(), ("If-Match", STALE), ("If-Match", tag)]
    assert (await http.patch(address, headers=twice, json={"title": "Table"})).status_code == 200


async def test_of_many_changes_of_the_same_item_exactly_one_is_made(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    address = f"/v1/items/{(await item(process, acme)).id}"
    for round_ in range(5):
        tag = (await http.get(address, headers=headers)).headers["etag"]
        answers = await asyncio.gather(
            *(
                http.patch(address, headers=headers | {"If-Match": tag}, json={"title": f"{round_}.{number}"})
                for number in range(6)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]
        [winner] = [answer for answer in answers if answer.status_code == 200]
        now = await http.get(address, headers=headers)
        assert (now.json(), now.headers["etag"]) == (winner.json(), winner.headers["etag"])
        assert now.json()["version"] == round_ + 2


async def test_a_tenant_may_demand_that_every_change_says_what_it_was_decided_on(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, theirs = await bearer(process, acme), await bearer(process, globex)
    decided = await http.patch("/v1/tenant", headers=headers, json={"require_if_match": True})
    assert decided.json()["settings"] == {"registration": "invite_only", "require_if_match": True}
    address, other = f"/v1/items/{(await item(process, acme)).id}", f"/v1/items/{(await item(process, globex)).id}"
    for action in ("PATCH", "DELETE", "restore"):
        assert refusal_of(await ask(http, action, address, headers)) == (428, "precondition-required")
        assert (await ask(http, action, other, theirs)).is_success
    assert (await ask(http, "PATCH", address, headers | {"If-Match": "*"})).status_code == 200
    back = await http.patch("/v1/tenant", headers=headers | {"If-Match": "*"}, json={"require_if_match": None})
    assert back.status_code == 200
    assert (await ask(http, "PATCH", address, headers)).status_code == 200
    events = (await http.get("/v1/audit?target_kind=settings", headers=headers)).json()["items"]
    assert [event["action"] for event in events] == ["settings.if_match_made_optional", "settings.if_match_required"]
