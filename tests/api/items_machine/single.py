"""What clients do with one item after another."""

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, multiple, precondition, rule

from tests.api.items_machine.asked import IF_MATCH, KEYS, NEW, PATCHES, WRONG, Body
from tests.api.items_machine.tenant import INVALID, INVALID_OWNER, KEY_REUSED, NOT_FOUND, ModelledItems, World
from tests.api.problems import refusal_of


class OneAfterAnother(RuleBasedStateMachine):
    """Steps that are a request for one item, and what they have in common with all others."""

    world: ClassVar[World]
    items = Bundle("items")

    def __init__(self) -> None:
        super().__init__()
        self.tenant = ModelledItems(self.world)

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
        whatever = {"If-Match": "*"}
        answer = self.tenant.ask("PATCH", "/v1/tenant", headers=whatever, json={"require_if_match": is_needed})
        assert answer.status_code == 200
        self.tenant.needs_if_match = is_needed

    @rule(is_active=st.booleans())
    def enable_or_disable_the_owner(self, is_active: bool) -> None:
        address, whatever = f"/v1/users/{self.tenant.owners['active']}", {"If-Match": "*"}
        answer = self.tenant.ask("PATCH", address, headers=whatever, json={"is_active": is_active})
        assert answer.status_code == 200
        self.tenant.is_owner_active = is_active

    @precondition(lambda self: self.tenant.is_owner_needed)
    @rule()
    def delete_the_owner(self) -> None:
        self.tenant.lose_owner()
