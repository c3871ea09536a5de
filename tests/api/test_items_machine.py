"""Whatever is done with items, in whatever order, they are what a model in memory says after each step.

A step may be a request that is sent again, two at once, or a page of a list that changes meanwhile. Each example has a
tenant of its own; a second tenant stands by, and none of its rows may be seen or changed. `just fuzz` takes many more
steps.
"""

import asyncio
import os
from typing import Any, ClassVar

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.items_asked import BOUNDS, IF_MATCH, KEYS, NEW, PATCHES, QUERIES, VERSIONS, WRONG, Body
from tests.api.items_model import Listing, Row, merged
from tests.api.modelled_items import (
    FAILED,
    INVALID,
    INVALID_CURSOR,
    INVALID_OWNER,
    KEY_REUSED,
    NOT_FOUND,
    REQUIRED,
    ModelledItems,
    Refusal,
    World,
)
from tests.api.problems import refusal_of
from tests.factories import bearer, item
from tests.people import user

EXAMPLES, STEPS = (400, 60) if os.environ.get("LEASEHOLD_TEST_LONG") else (25, 40)


class ItemsMachine(RuleBasedStateMachine):
    """What the clients of one tenant do with items."""

    world: ClassVar[World]
    items = Bundle("items")
    listings = Bundle("listings")

    def __init__(self) -> None:
        super().__init__()
        self.tenant = ModelledItems(self.world)
        self.paged: list[Listing] = []
        self.bursts = 0

    @initialize(target=items, lines=st.lists(NEW, min_size=3, max_size=6))
    def begin(self, lines: list[Body]) -> MultipleResults[str]:
        return self._create_many(lines, None, None)

    # One item

    @rule(target=items, data=NEW, key=KEYS)
    def create(self, data: Body, key: str | None) -> str | MultipleResults[str]:
        body = self.tenant.resolved(data)
        answer = self.tenant.post("/v1/items", body, key)
        if answer is None:
            return multiple()
        if not self.tenant.takes_owner(body):
            assert refusal_of(answer) == INVALID_OWNER
            return multiple()
        assert answer.status_code == 201
        made = self.tenant.made(body, answer.json())
        assert answer.headers["etag"] == self.tenant.rows[made].etags[-1]
        return made

    @rule(body=WRONG, key=KEYS)
    def create_what_is_none(self, body: Body, key: str | None) -> None:
        answer = self.tenant.post("/v1/items", body, key)
        assert answer is None or refusal_of(answer) == INVALID

    @precondition(lambda self: self.tenant.kept)
    @rule(data=st.data(), is_changed=st.booleans())
    def send_again(self, data: st.DataObject, is_changed: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.tenant.kept)))
        before = self.tenant.kept[key]
        headers = {"Content-Type": "application/json", "Idempotency-Key": f'"{key}"'}
        content = before.content + b" " if is_changed else before.content
        answer = self.tenant.ask("POST", before.path, content=content, headers=headers)
        if is_changed:
            assert refusal_of(answer) == KEY_REUSED
        else:
            self.tenant.demand_replay(answer, before.answer)

    @rule(key=items, data=PATCHES, how=IF_MATCH)
    def change(self, key: str, data: Body, how: str) -> None:
        row, body = self.tenant.rows[key], self.tenant.resolved(data)
        headers, refusal = self.tenant.if_match(row, how)
        answer = self.tenant.ask("PATCH", f"/v1/items/{key}", headers=headers, json=body)
        if row.is_deleted or refusal:
            assert refusal_of(answer) == (NOT_FOUND if row.is_deleted else refusal)
        elif not self.tenant.takes_owner(body, row):
            assert refusal_of(answer) == INVALID_OWNER
        else:
            assert answer.status_code == 200
            self.tenant.changed(row, body, answer.json())
            assert answer.headers["etag"] == row.etags[-1]

    @rule(key=items, body=WRONG)
    def change_to_what_is_none(self, key: str, body: Body) -> None:
        assert refusal_of(self.tenant.ask("PATCH", f"/v1/items/{key}", json=body)) == INVALID

    @rule(key=items, how=IF_MATCH)
    def delete(self, key: str, how: str) -> None:
        row = self.tenant.rows[key]
        headers, refusal = self.tenant.if_match(row, how)
        answer = self.tenant.ask("DELETE", f"/v1/items/{key}", headers=headers)
        if row.is_deleted or refusal:
            assert refusal_of(answer) == (NOT_FOUND if row.is_deleted else refusal)
        else:
            self.tenant.deleted(row, answer)

    @rule(key=items, how=IF_MATCH, idempotency_key=KEYS)
    def restore(self, key: str, how: str, idempotency_key: str | None) -> None:
        row = self.tenant.rows[key]
        headers, refusal = self.tenant.if_match(row, how)
        answer = self.tenant.post(f"/v1/items/{key}/restore", None, idempotency_key, headers=headers)
        if answer is not None and refusal:
            assert refusal_of(answer) == refusal
        elif answer is not None:
            self.tenant.restored(row, answer)

    @rule(key=items, how=st.sampled_from(["current", "weak", "among others", "any", "former"]))
    def get(self, key: str, how: str) -> None:
        row = self.tenant.rows[key]
        headers, is_unknown = self.tenant.if_match(row, how)
        answer = self.tenant.ask("GET", f"/v1/items/{key}", headers={"If-None-Match": headers["If-Match"]})
        if row.is_deleted:
            assert refusal_of(answer) == NOT_FOUND
        elif is_unknown and how != "weak":
            assert (answer.status_code, answer.json()) == (200, row.shown)
        else:
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", row.etags[-1])

    @rule(is_needed=st.booleans())
    def decide_on_if_match(self, is_needed: bool) -> None:
        answer = self.tenant.ask("PATCH", "/v1/tenant", json={"require_if_match": is_needed})
        assert answer.status_code == 200
        self.tenant.needs_if_match = is_needed

    # Two at once

    @rule(key=items)
    def change_twice_at_once(self, key: str) -> None:
        row, headers = self.tenant.rows[key], {"If-Match": self.tenant.rows[key].etags[-1]}
        bodies = [{"title": f"{side} of {row.shown['version']}"} for side in ("left", "right")]
        path = f"/v1/items/{key}"
        answers = self.tenant.ask_at_once(
            *(self.tenant.asking("PATCH", path, headers=headers, json=body) for body in bodies)
        )
        if row.is_deleted:
            assert [refusal_of(answer) for answer in answers] == [NOT_FOUND] * 2
            return
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        for body, answer in zip(bodies, answers, strict=True):
            if answer.status_code == 200:
                self.tenant.changed(row, body, answer.json())
            else:
                assert refusal_of(answer) == FAILED

    @rule(key=items, one=PATCHES, other=PATCHES)
    def change_different_fields_at_once(self, key: str, one: Body, other: Body) -> None:
        row = self.tenant.rows[key]
        left = {name: value for name, value in one.items() if name != "owner_id"}
        left["title"] = f"title of {row.shown['version']}"
        right = {name: value for name, value in other.items() if name != "owner_id" and name not in left}
        answers = self.tenant.ask_at_once(
            *(self.tenant.asking("PATCH", f"/v1/items/{key}", json=body) for body in (left, right))
        )
        if row.is_deleted or self.tenant.needs_if_match:
            refusal = NOT_FOUND if row.is_deleted else REQUIRED
            assert [refusal_of(answer) for answer in answers] == [refusal] * 2
            return
        assert [answer.status_code for answer in answers] == [200, 200]
        writes = 1 + (merged(row.fields, right) != row.fields)
        shown = max((answer.json() for answer in answers), key=lambda item: int(item["version"]))
        row.demand(shown, merged(row.fields, {**left, **right}), writes=writes)
        row.shown = shown
        self.tenant.look_at(key)

    @rule(key=items)
    def change_and_delete_at_once(self, key: str) -> None:
        row, headers = self.tenant.rows[key], {"If-Match": self.tenant.rows[key].etags[-1]}
        body, path = {"title": f"title of {row.shown['version']}"}, f"/v1/items/{key}"
        changing = self.tenant.asking("PATCH", path, headers=headers, json=body)
        changed, deleted = self.tenant.ask_at_once(changing, self.tenant.asking("DELETE", path, headers=headers))
        if row.is_deleted:
            assert refusal_of(changed) == refusal_of(deleted) == NOT_FOUND
        elif changed.status_code == 200:
            assert refusal_of(deleted) == FAILED
            self.tenant.changed(row, body, changed.json())
        else:
            assert refusal_of(changed) == NOT_FOUND
            self.tenant.deleted(row, deleted)

    @rule(target=items, data=NEW)
    def create_twice_at_once(self, data: Body) -> str:
        self.bursts += 1
        body, headers = self.tenant.resolved({**data, "owner_id": None}), {"Idempotency-Key": f"burst {self.bursts}"}
        answers = self.tenant.ask_at_once(
            *(self.tenant.asking("POST", "/v1/items", headers=headers, json=body) for _ in range(2))
        )
        first = next(answer for answer in answers if "idempotent-replayed" not in answer.headers and answer.is_success)
        (other,) = [answer for answer in answers if answer is not first]
        if other.status_code != 409:
            self.tenant.demand_replay(other, first)
        else:
            assert refusal_of(other) == (409, "idempotency-key-in-use")
        return self.tenant.made(body, first.json())

    # Another tenant

    @rule(data=st.data(), key=KEYS)
    def touch_what_is_another_tenants(self, data: st.DataObject, key: str | None) -> None:
        strange = data.draw(st.sampled_from(self.world.strangers))
        path = f"/v1/items/{strange['id']}"
        asked = [("GET", path, {}), ("PATCH", path, {"json": {"title": "desk"}}), ("DELETE", path, {})]
        for method, address, options in asked:
            assert refusal_of(self.tenant.ask(method, address, **options)) == NOT_FOUND
        answer = self.tenant.post(f"{path}/restore", None, key)
        assert answer is None or refusal_of(answer) == NOT_FOUND
        answer = self.tenant.ask("PATCH", "/v1/items/bulk", json={"items": [{"id": strange["id"], "title": "desk"}]})
        assert _results(answer, [NOT_FOUND], status=200) == []

    # Many at once

    @rule(target=items, lines=st.lists(NEW, min_size=1, max_size=4), wrong=st.none() | WRONG, key=KEYS)
    def create_many(self, lines: list[Body], wrong: Body | None, key: str | None) -> MultipleResults[str]:
        return self._create_many(lines, wrong, key)

    def _create_many(self, lines: list[Body], wrong: Body | None, key: str | None) -> MultipleResults[str]:
        bodies = [self.tenant.resolved(line) for line in lines]
        expected = [None if self.tenant.takes_owner(body) else INVALID_OWNER for body in bodies]
        _put_in_the_middle(bodies, expected, wrong)
        answer = self.tenant.post("/v1/items/bulk", {"items": bodies}, key)
        if answer is None:
            return multiple()
        results = _results(answer, expected, status=201)
        return multiple(*(self.tenant.made(bodies[index], shown) for index, shown in results))

    @rule(
        key=items,
        patch=PATCHES,
        version=VERSIONS,
        more=st.lists(st.tuples(items, PATCHES, VERSIONS), max_size=3),
        wrong=st.none() | WRONG,
    )
    def change_many(
        self, key: str, patch: Body, version: str, more: list[tuple[str, Body, str]], wrong: Body | None
    ) -> None:
        bodies, expected, met = [], [], set[str]()
        for one, data, which in [(key, patch, version), *more]:
            row, body = self.tenant.rows[one], self.tenant.resolved(data)
            seen = {"current": row.shown["version"], "former": row.shown["version"] - 1}.get(which)
            bodies.append({"id": one, **body} | ({} if seen is None else {"version": seen}))
            expected.append(INVALID if one in met else self._refusal_of_line(row, body, which))
            met.add(one)
        _put_in_the_middle(bodies, expected, wrong)
        answer = self.tenant.ask("PATCH", "/v1/items/bulk", json={"items": bodies})
        for index, shown in _results(answer, expected, status=200):
            body = {name: value for name, value in bodies[index].items() if name not in {"id", "version"}}
            self.tenant.changed(self.tenant.rows[shown["id"]], body, shown)

    def _refusal_of_line(self, row: Row, body: Body, version: str) -> Refusal | None:
        if row.is_deleted:
            return NOT_FOUND
        if version == "former":
            return FAILED
        if version == "absent" and self.tenant.needs_if_match:
            return REQUIRED
        return None if self.tenant.takes_owner(body, row) else INVALID_OWNER

    # Lists

    @rule(target=listings, asked=QUERIES, bound=BOUNDS, limit=st.integers(1, 4))
    def list_first_page(self, asked: dict[str, str], bound: tuple[str, str, int] | None, limit: int) -> Listing:
        query = self.tenant.resolved(asked)
        if bound and self.tenant.rows:
            column, compare, place = bound
            rows = list(self.tenant.rows.values())
            query[f"{column}[{compare}]"] = rows[place % len(rows)].shown[column]
        listing = Listing(query, limit)
        self.paged.append(listing)
        listing.begin(self._rows())
        self._turn(listing)
        return listing

    @rule(listing=listings)
    def list_next_page(self, listing: Listing) -> None:
        if not listing.is_over:
            self._turn(listing)

    @rule(listing=listings, other=QUERIES)
    def list_with_the_cursor_of_another_list(self, listing: Listing, other: dict[str, str]) -> None:
        query = self.tenant.resolved(other)
        if listing.cursor is not None and not listing.has_cursor_for(query):
            answer = self.tenant.ask("GET", "/v1/items", params={**query, "cursor": listing.cursor})
            assert refusal_of(answer) == INVALID_CURSOR

    @rule(listing=listings)
    def list_with_the_cursor_of_another_tenant(self, listing: Listing) -> None:
        if listing.cursor is not None:
            asking = self.world.http.get("/v1/items", params=listing.parameters, headers=self.world.bystander)
            assert refusal_of(self.world.run(asking)) == INVALID_CURSOR

    def _turn(self, listing: Listing) -> None:
        rows, has_more = listing.next_page(self._rows())
        answer = self.tenant.ask("GET", "/v1/items", params=listing.parameters)
        assert answer.status_code == 200
        page = answer.json()
        assert page["items"] == [row.shown for row in rows]
        assert page["has_more"] is has_more is (page["next_cursor"] is not None)
        listing.turn(rows, page["next_cursor"])
        if listing.is_over:
            listing.demand_no_gap()

    def _rows(self) -> list[Row]:
        return list(self.tenant.rows.values())

    # What holds after each step

    @invariant()
    def everything_is_as_the_model_has_it(self) -> None:
        expected = sorted((row.shown for row in self._rows() if not row.is_deleted), key=lambda shown: str(shown["id"]))
        assert self.world.all_items(self.tenant.headers) == expected
        for listing in self.paged:
            if not listing.is_over:
                listing.look(self._rows())

    def teardown(self) -> None:
        for listing in self.paged:
            while not listing.is_over:
                self._turn(listing)
        assert self.world.all_items(self.world.bystander) == self.world.strangers


def _put_in_the_middle(bodies: list[Body], expected: list[Refusal | None], wrong: Body | None) -> None:
    if wrong is not None:
        bodies.insert(len(bodies) // 2, wrong)
        expected.insert(len(expected) // 2, INVALID)


def _results(answer: httpx.Response, expected: list[Refusal | None], *, status: int) -> list[tuple[int, Body]]:
    """Return the items of the lines that were to succeed, each with its place; the others must be refused so."""
    assert answer.status_code == 200
    lines: list[dict[str, Any]] = answer.json()["results"]
    told = [one["problem"] and (one["status"], one["problem"]["type"].rpartition("/")[2]) for one in lines]
    assert told == expected
    made = [line for line in lines if line["problem"] is None]
    assert {line["status"] for line in made} <= {status}
    assert [answer.json()[name] for name in ("succeeded", "failed")] == [len(made), len(lines) - len(made)]
    return [(line["index"], line["item"]) for line in made]


async def test_items_are_what_the_model_says_after_each_step(
    http: httpx.AsyncClient, process: Process, globex: TenantRef
) -> None:
    strangers = [await item(process, globex, title) for title in ("desk", "oak", "lamp")]
    bystander = await bearer(process, globex)
    shown = [(await http.get(f"/v1/items/{one.id}", headers=bystander)).json() for one in strangers]
    stranger = str((await user(process, globex)).id)

    class Machine(ItemsMachine):
        world = World(asyncio.get_running_loop(), http, process, bystander, shown, stranger)

    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    await asyncio.to_thread(run_state_machine_as_test, Machine, settings=chosen)
