"""The same interleavings through PgBouncer in transaction mode, where all clients share one server connection."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from leasehold.config import Settings
from leasehold.core.budget import worker_budget
from leasehold.core.database import Database, open_engine
from leasehold.core.quotas.limits import Limits, Policy, Window
from leasehold.core.quotas.shared import Asked
from leasehold.main import build_process, create_app, running
from leasehold.process import Process
from leasehold.tenancy.bind import BindableConnection, TenantSession, open_tenant_session, prepare_engine
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.tenancy.quotas import PostgresQuotas
from leasehold.workspace.items.models import Item
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.bouncer import needs_pgbouncer
from tests.factories import bearer, provisioned
from tests.integration.worker.crew import Title, ask, at_work
from tests.isolation.scenario import ACTS, TITLES, Request, play
from tests.pooler import behind, bouncer, keeps_statements, through_port
from tests.queued import empty_queue

pytestmark = needs_pgbouncer

# What cannot work on one shared server connection: sleeping in it is a matter of waiting, not of isolation.
SCRIPT: list[Request] = [
    request
    for round_ in range(3)
    for number, act in enumerate(sorted(set(ACTS) - {"be_cancelled"}))
    for request in (((number + round_) % 8, [act, "read"]), (number % 5, ["write"]), (-1, ["read"]))
]


@pytest.fixture(scope="module")
def port(settings: Settings) -> Generator[int]:
    """The port of a PgBouncer with one server connection."""
    with bouncer(settings) as made:
        yield made


@pytest.fixture
async def pooled(settings: Settings, port: int) -> AsyncGenerator[Database]:
    """A database of several client connections behind that PgBouncer."""
    engine = open_engine(
        through_port(settings, port),
        pool_size=6,
        prepared_statements=keeps_statements(),
        connection_class=BindableConnection,
        pool_timeout_s=20,
    )
    database = Database(prepare_engine(engine, max_tenants=500), tenant_roles=True)
    await database.fill_pool()
    yield database
    await database.close()


def _polling(settings: Settings, port: int) -> Settings:
    return behind(settings, port).model_copy(update={"direct_url": None})


async def test_no_tenant_is_seen_through_a_shared_server_connection(pooled: Database, eight: list[TenantRef]) -> None:
    assert await play(pooled, eight, SCRIPT) == []


async def test_a_worker_runs_the_jobs_of_all_tenants_through_a_shared_server_connection(
    settings: Settings, process: Process, pooled: Database, port: int, owner: Any
) -> None:
    await empty_queue(owner)  # what other tests have left would be done first
    tenants = [await provisioned(process) for _ in range(4)]

    @tenant_job("tests.make")
    async def make(arguments: Title, session: TenantSession, tenant: TenantRef) -> None:
        await ItemService(session=session).add(ItemCreate(f"{arguments.title} of {tenant.slug}"))

    behind = _polling(settings, port)
    names = [f"job {number}" for number in range(5)]
    worker = build_process(behind, budget=worker_budget(jobs=4))
    async with running(worker), at_work(worker, make, places=4) as at:
        for tenant in tenants:
            await ask(worker, tenant, make, *names)
        async with asyncio.timeout(60):
            while at.count(make, "succeeded") < len(tenants) * len(names):
                await asyncio.sleep(0.02)
    for tenant in tenants:
        async with open_tenant_session(pooled, tenant) as session:
            made = sorted(await session.scalars(TITLES))
        assert made == [f"{name} of {tenant.slug}" for name in names]


async def test_keys_of_two_tenants_do_not_meet_on_a_shared_server_connection(
    settings: Settings, process: Process, pooled: Database, port: int
) -> None:
    tenants = [await provisioned(process) for _ in range(2)]
    headers = [{**await bearer(process, tenant), "Idempotency-Key": "shared"} for tenant in tenants]
    app = create_app(_polling(settings, port))
    async with (
        running(app.app.state.process),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://leasehold.test", timeout=60) as client,
    ):
        posts = [client.post("/v1/items", headers=one, json={"title": "Desk"}) for one in headers * 10]
        answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} <= {201, 409}
    ids = [{one.json()["id"] for one in answers[place::2] if one.status_code == 201} for place in (0, 1)]
    for tenant, (made,) in zip(tenants, ids, strict=True):
        async with open_tenant_session(pooled, tenant) as session:
            assert [str(item_id) for item_id in await session.scalars(select(Item.id))] == [made]


async def test_quotas_are_counted_through_a_pooler(settings: Settings, pooled: Database, port: int) -> None:
    """Each store asks over whatever server connection it is given, which has seen another's statements before."""
    limits = Limits(Policy("client", (Window(25, 86_400),)))
    stores = [
        PostgresQuotas(through_port(settings, port), timeout_s=20, prepared_statements=keeps_statements())
        for _ in range(3)
    ]

    async def taken(store: PostgresQuotas, key: str) -> int:
        answers = [await store.take([Asked(limits, (key,)), Asked(limits, (key,))]) for _ in range(10)]
        return sum(granted for answer in answers for granted, _ in answer)

    assert sum(await asyncio.gather(*(taken(store, f"pooled {port}") for store in stores))) == 25
    for store in stores:
        await store.close()
