"""Too many, too slow, too much: what clients do to a service that has nothing wrong with it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import httpx

from faults.asking import asking
from faults.client import token_of
from faults.fault import Fault
from faults.flood import FIRST, rates_of
from faults.installation import DATABASE, Tenant
from faults.journal import read_journal
from faults.stage import Stage
from leasehold.tenancy.names import quoted
from tests.faults.clients import accepted, connected, head_of

ENOUGH = 20
"""So many connections that ask again as soon as they are answered ask for all that two servers can serve."""
_MORE = 2.0
"""Where ten times as many connections get so many times as much, those before did not ask for all there is."""
_SLOW = 500
_HUGE = 200_000
_FILL = """
INSERT INTO {table} (id, title, description, created_at, updated_at)
SELECT gen_random_uuid(), $1 || '|huge ' || n, repeat('-', 200), now(), now() FROM generate_series(1, $2::int) n
"""


async def _overload(stage: Stage) -> None:
    """Find out how many connections ask for all that can be served, and then be ten times as many."""
    served: list[float] = []
    for connections, seconds in (
        (ENOUGH, stage.lasts(short_s=2, long_s=10)),
        (10 * ENOUGH, stage.lasts(short_s=4, long_s=60)),
    ):
        begun = time.monotonic()
        async with asking(stage, "flood", connections=connections):
            await asyncio.sleep(seconds)
        answers = [
            one
            for one in read_journal(stage.journal)
            if one.event == "answered" and one.number >= FIRST and one.at >= begun
        ]
        well, refused = rates_of(answers)
        stage.found.append(
            f"{connections} connections: {well:.0f} requests answered well in a second, {refused:.0f} refused"
        )
        served.append(well)
        stage.struck = sum(one.status in {429, 503} for one in answers)
    stage.struck += served[1] < _MORE * served[0]


async def _dawdle(stage: Stage) -> None:
    head = head_of("GET", "/v1/items", {"X-Slow": "x" * 1000})
    async with connected(stage.deployment.balancer.address, count=_SLOW) as clients:
        slow = [asyncio.create_task(client.dawdle(head, pause_s=1)) for client in clients]
        await asyncio.sleep(2)
        # The usual clients have connections, too, but not so many.
        stage.struck = max(0, sum(map(accepted, stage.deployment.addresses)) - _SLOW // 2)
        await asyncio.sleep(stage.lasts(short_s=3, long_s=38))
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
    stage.demands.append(lambda: _let_go(stage))


async def _let_go(stage: Stage) -> str | None:
    """Say how many connections servers hold that are not those of the usual clients."""
    for _ in range(50):
        held = sum(map(accepted, stage.deployment.addresses))
        if held < _SLOW // 10:
            return None
        await asyncio.sleep(0.1)
    return f"servers still hold {held} connections"


@asynccontextmanager
async def _with_much(_url: str, stage: Stage) -> AsyncGenerator[Mapping[str, str]]:
    tenant = _rich(stage)
    connection = await stage.cluster.connect(DATABASE)
    try:
        table = f"{quoted(tenant.schema)}.items"
        await connection.execute(_FILL.format(table=table), tenant.slug, _HUGE // 10 if stage.is_short else _HUGE)
        await connection.execute(f"ANALYZE {table}")
    finally:
        await connection.close()
    yield {}


def _rich(stage: Stage) -> Tenant:
    return stage.installation.tenants[-1]


async def _read_slowly(stage: Stage) -> None:
    """Let ten clients of one tenant ask for all that it has, and take it bit by bit."""
    tenant, address = _rich(stage), stage.deployment.balancer.address
    async with httpx.AsyncClient(base_url=address, timeout=15) as client:
        headers = {"Authorization": f"Bearer {await token_of(client, tenant)}"}
    ends = time.monotonic() + stage.lasts(short_s=5, long_s=40)
    async with connected(address, count=10, small=True) as clients:
        for one in clients:
            await one.send(head_of("GET", "/v1/items/export", headers))
        for one in clients:
            stage.struck += (await one.head()).startswith("HTTP/1.1 200")
        while time.monotonic() < ends:
            for one in clients:
                await one.some()
            await asyncio.sleep(0.2)


FAULTS = (
    Fault(
        "overload",
        "Ten times as many ask again and again as can be served: some are answered later, or 503 or 429.",
        _overload,
        shown_by="struck",
    ),
    Fault(
        "slow-clients",
        "500 clients that send byte by byte hold nothing but their connection; nobody else notices.",
        _dawdle,
        shown_by="struck",
        settings={"LEASEHOLD_CLIENT_TIMEOUT_S": "10"},
        is_unnoticed=True,
    ),
    Fault(
        "huge-result",
        "A tenant's export of 200,000 rows, read slowly by ten, holds no connection of the pool; nobody else notices.",
        _read_slowly,
        shown_by="struck",
        route=_with_much,
        is_unnoticed=True,
    ),
)
