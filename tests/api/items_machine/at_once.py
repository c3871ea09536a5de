"""What clients do with items at once."""

from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule

from tests.api.items_machine.asked import NEW, PATCHES, Body
from tests.api.items_machine.model import merged
from tests.api.items_machine.tenant import FAILED, NOT_FOUND, REQUIRED, ModelledItems
from tests.api.problems import refusal_of


class TwoAtOnce(RuleBasedStateMachine):
    """Steps that are two requests at the same time."""

    tenant: ModelledItems
    items = Bundle("items")
    bursts = 0

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
            # Whoever came first, it ends the same: hypothesis must find the same choices when it repeats an example.
            headers = {"If-Match": row.etags[-1]}
            self.tenant.deleted(row, self.tenant.ask("DELETE", path, headers=headers))
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
