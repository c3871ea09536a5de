"""Whatever is done with items, in whatever order, they are what a model in memory says after each step.

A step may be a request that is sent again, two at once, or a page of a list that changes meanwhile. Each example has a
tenant of its own; a second tenant stands by, and none of its rows may be seen or changed. `just fuzz` takes many more
steps.
"""

import asyncio
import os

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.items_machine.asked import KEYS
from tests.api.items_machine.at_once import TwoAtOnce
from tests.api.items_machine.bulk import ManyInOne, results_of
from tests.api.items_machine.lists import PagesMeanwhile
from tests.api.items_machine.single import OneAfterAnother
from tests.api.items_machine.tenant import NOT_FOUND, World
from tests.api.problems import refusal_of
from tests.factories import bearer, item
from tests.people import user

EXAMPLES, STEPS = (400, 60) if os.environ.get("LEASEHOLD_TEST_LONG") else (20, 40)


class ItemsMachine(OneAfterAnother, TwoAtOnce, ManyInOne, PagesMeanwhile):
    """What the clients of one tenant do with items, and what holds after each step."""

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
        assert results_of(answer, [NOT_FOUND], status=200) == []

    @invariant()
    def everything_is_as_the_model_has_it(self) -> None:
        expected = sorted(
            (row.shown for row in self.tenant.everything if not row.is_deleted), key=lambda shown: str(shown["id"])
        )
        assert self.world.all_items(self.tenant.headers) == expected
        for listing in self.paged:
            if not listing.is_over:
                listing.look(self.tenant.everything)

    def teardown(self) -> None:
        for listing in self.paged:
            while not listing.is_over:
                self.turn(listing)
        assert self.world.all_items(self.world.bystander) == self.world.strangers


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
