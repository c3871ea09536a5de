"""What clients do with many items in one request."""

from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, multiple, rule

from tests.api.items_machine.asked import KEYS, NEW, PATCHES, VERSIONS, WRONG, Body
from tests.api.items_machine.model import Row
from tests.api.items_machine.tenant import FAILED, INVALID, INVALID_OWNER, NOT_FOUND, REQUIRED, ModelledItems, Refusal


class ManyInOne(RuleBasedStateMachine):
    """Steps that are one request for many items."""

    tenant: ModelledItems
    items = Bundle("items")

    @initialize(target=items, lines=st.lists(NEW, min_size=3, max_size=6))
    def begin(self, lines: list[Body]) -> MultipleResults[str]:
        return self._create_many(lines, None, None)

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
        results = results_of(answer, expected, status=201)
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
        self._change_many([(key, patch, version), *more], wrong)

    @rule(patch=PATCHES)
    def change_all_alike(self, patch: Body) -> None:
        if self.tenant.rows:
            self._change_many([(key, patch, "current") for key in self.tenant.rows], None)

    def _change_many(self, lines: list[tuple[str, Body, str]], wrong: Body | None) -> None:
        bodies, expected, met = [], [], set[str]()
        for one, data, which in lines:
            row, body = self.tenant.rows[one], self.tenant.resolved(data)
            # Of a new one there is no former version; another one does as well.
            seen = {"current": row.shown["version"], "former": row.shown["version"] - 1 or 2}.get(which)
            bodies.append({"id": one, **body} | ({} if seen is None else {"version": seen}))
            expected.append(INVALID if one in met else self._refusal_of_line(row, body, which))
            met.add(one)
        _put_in_the_middle(bodies, expected, wrong)
        answer = self.tenant.ask("PATCH", "/v1/items/bulk", json={"items": bodies})
        for index, shown in results_of(answer, expected, status=200):
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


def _put_in_the_middle(bodies: list[Body], expected: list[Refusal | None], wrong: Body | None) -> None:
    if wrong is not None:
        bodies.insert(len(bodies) // 2, wrong)
        expected.insert(len(expected) // 2, INVALID)


def results_of(answer: httpx.Response, expected: list[Refusal | None], *, status: int) -> list[tuple[int, Body]]:
    """Return the items of the lines that were to succeed, each with its place; the others must be refused so."""
    assert answer.status_code == 200
    lines: list[dict[str, Any]] = answer.json()["results"]
    told = [one["problem"] and (one["status"], one["problem"]["type"].rpartition("/")[2]) for one in lines]
    assert told == expected
    made = [line for line in lines if line["problem"] is None]
    assert {line["status"] for line in made} <= {status}
    assert [answer.json()[name] for name in ("succeeded", "failed")] == [len(made), len(lines) - len(made)]
    return [(line["index"], line["item"]) for line in made]
