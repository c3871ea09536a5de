"""However requests of many tenants interleave on few connections, each sees its own tenant alone.

The last tests break the binding on purpose: if they did not find leaks, the first ones would prove nothing.
"""

import asyncio
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings

from leasehold.config import Settings
from leasehold.core.database import Database
from leasehold.tenancy.bind import BindableConnection, prepare_engine
from leasehold.tenancy.context import TenantRef
from tests.isolation.conftest import open_pool
from tests.isolation.scenario import ACTS, Request, play, requests

pytestmark = pytest.mark.not_pooled(
    "sleeps in connections and breaks bindings on purpose; test_pgbouncer plays the rest"
)

EVERY_ACT: list[Request] = [(number % 8, [act, "read"]) for number, act in enumerate(sorted(ACTS))]
EVERY_PAIR: list[Request] = [
    request
    for first in sorted(ACTS)
    for request in ((0, [first]), (1, ["read"]), (-1, ["read"]), (2, ["write"]), (3, [first]), (1, ["read"]))
]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@example(script=EVERY_ACT)
@example(script=EVERY_PAIR)
@given(script=requests)
async def test_no_interleaving_of_requests_shows_one_tenant_to_another(
    pool: Database, eight: list[TenantRef], script: list[Request]
) -> None:
    assert await play(pool, eight, script) == []


async def test_requests_that_are_cancelled_while_they_wait_leave_no_place_lost(
    pool: Database, eight: list[TenantRef]
) -> None:
    script: list[Request] = [(number % 8, ["be_cancelled"] if number % 2 else ["read"]) for number in range(24)]
    async with asyncio.timeout(28):  # a lost place would cost the 30 s that the pool waits
        for _ in range(5):
            assert await play(pool, eight, script) == []


async def test_connections_survive_every_act_and_are_used_again(pool: Database, eight: list[TenantRef]) -> None:
    for _ in range(3):
        assert await play(pool, eight, EVERY_ACT * 3) == []
    assert pool.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


class StickyConnection(BindableConnection):
    """Binds the connection instead of the transaction, and only when it is new: how tenants leak elsewhere."""

    bound = False

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109
        if self.next_binding is not None and query.startswith("BEGIN"):
            binding, self.next_binding = self.next_binding, None
            if not self.bound:
                self.bound = True
                await asyncpg.Connection.execute(self, binding.replace("SET LOCAL", "SET"))
        return await super().execute(query, *args, timeout=timeout)


@pytest.mark.parametrize("size", [1, 4])
async def test_a_binding_that_outlives_its_transaction_is_found(
    settings: Settings, eight: list[TenantRef], size: int
) -> None:
    database = open_pool(settings, size, StickyConnection)
    prepare_engine(database.engine, max_tenants=500)
    leaks = await play(database, eight, [(number, ["read"]) for number in range(8)])
    await database.close()
    assert leaks


async def test_a_binding_left_behind_by_a_transaction_that_never_began_is_found(
    settings: Settings, eight: list[TenantRef]
) -> None:
    database = open_pool(settings, 1)  # without the hooks of prepare_engine, which drop it
    leaks = await play(database, eight, [(0, ["never_begin"])])
    leaks += await play(database, eight, [(-1, [])])
    await database.close()
    assert len(leaks) == 1
    assert leaks[0].startswith(f"the platform ran as {eight[0].role}")
