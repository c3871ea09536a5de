"""The revision window: an old and a new release serve one fleet while the new one migrates it, and no tenant is served
by code that its schema does not fit.
"""

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.tenancy.fleet.history import TenantHistory
from tests.conftest import installed, migrate
from tests.factories import new_slug
from tests.faults.releases import (
    CONTRACT,
    EXPAND,
    NEUTRAL,
    Answer,
    Server,
    Tenant,
    is_right,
    old_and_new,
    provision_by_old,
)
from tests.integration.cli.shell import Finished, succeeded

TENANTS = 40
CLIENTS = 2
"""Of each server."""
MOST_ROUNDS = 1_000
"""How often each client asks for every tenant, at most."""
PAUSE_S = 0.002
"""Between two requests of a client: the runs shall have their share of the processor."""
WITHIN_S = 1.0 if os.environ.get("LEASEHOLD_TEST_LONG") else 3.0
"""How soon every process knows where a tenant stands: promised is a second, to a machine that is not busy."""
SOON_S = 60
"""After which it is given up that a process begins to serve a tenant, or to ask it to come back."""
WITHIN_ALL_S = 300
"""How long the longest part of a test may take."""


class Span(NamedTuple):
    """Between which two moments a tenant was brought to a revision."""

    not_before: float
    not_after: float


class Traffic:
    """Clients of both servers, what they were answered, and where each tenant stood meanwhile."""

    def __init__(self, servers: tuple[Server, Server], tenants: list[Tenant], base: str) -> None:
        self.answers: list[Answer] = []
        self.made: dict[str, dict[str, str]] = {tenant.ref.slug: {} for tenant in tenants}
        """The titles of all items that were made, by tenant and id."""
        self.mixtures: set[frozenset[str]] = set()
        """The revisions at which the fleet stood at one moment."""
        self._servers = servers
        self._tenants = tenants
        self._order = (base, EXPAND, NEUTRAL, CONTRACT)
        self._reached: dict[str, dict[str, Span]] = defaultdict(dict)
        self._is_open = False

    @asynccontextmanager
    async def flowing(self, owner: Any) -> AsyncGenerator[None]:
        """Let the clients ask, one request after the other, until the end of the block."""
        self._is_open = True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(owner))
            for number, server in enumerate(self._servers * CLIENTS):
                group.create_task(self._client(server, number))
            try:
                yield
            finally:
                self._is_open = False

    async def seed(self) -> None:
        """Let the old release make the first items of each tenant."""
        async with httpx.AsyncClient(timeout=60) as client:
            for tenant in self._tenants:
                for number in range(3):
                    answer = await self._servers[0].ask(client, tenant, "/v1/items", made=f"seed-{number}")
                    assert answer.is_served, answer
                    self._note(answer)

    async def decided_at(self, revision: str) -> None:
        """Wait until both servers have given each tenant there an answer that leaves no doubt."""
        seen: set[tuple[str, str]] = set()
        looked_at = len(self.answers)
        while len(seen) < 2 * len(self._tenants):
            await asyncio.sleep(0.05)
            fresh, looked_at = self.answers[looked_at:], len(self.answers)
            seen |= {
                (answer.release, answer.slug)
                for answer in fresh
                if self.revision_during(answer) == revision and self.must_serve(answer) is not None
            }

    def must_serve(self, answer: Answer) -> bool | None:
        """Return whether the tenant had to be served, None where the request was under way when that changed."""
        is_old = answer.release == "old"
        turn = self._reached[answer.slug].get(CONTRACT if is_old else EXPAND)
        if turn is None or answer.ended < turn.not_before:
            return is_old
        return not is_old if answer.began > turn.not_after + WITHIN_S else None

    def revision_during(self, answer: Answer) -> str | None:
        """Return where the tenant stood during all of a request, None if it moved."""
        reached = self._reached[answer.slug]
        for revision in reversed(reached):
            if reached[revision].not_after <= answer.began:
                return revision
            if reached[revision].not_before <= answer.ended:
                return None
        return None

    async def _watch(self, owner: Any) -> None:
        before = time.monotonic()
        while self._is_open:
            asked = time.monotonic()
            rows = await owner.fetch("SELECT slug, revision FROM platform.tenants WHERE slug = ANY($1)", [*self.made])
            now = time.monotonic()
            for slug, current in rows:
                for revision in self._order[: self._order.index(current) + 1]:
                    self._reached[slug].setdefault(revision, Span(before, now))
            self.mixtures.add(frozenset(row["revision"] for row in rows))
            before = asked
            await asyncio.sleep(0.01)

    async def _client(self, server: Server, number: int) -> None:
        chance = random.Random(number)
        async with httpx.AsyncClient(timeout=60) as client:
            for round_ in range(MOST_ROUNDS):
                for tenant in chance.sample(self._tenants, len(self._tenants)):
                    if not self._is_open:
                        return
                    path = chance.choice(["/v1/items", f"/v1/items/{chance.choice([*self.made[tenant.ref.slug]])}"])
                    made = f"{number}-{round_}" if path == "/v1/items" and chance.random() < 0.5 else None
                    self._note(await server.ask(client, tenant, path, made=made))
                    await asyncio.sleep(PAUSE_S)

    def _note(self, answer: Answer) -> None:
        self.answers.append(answer)
        if answer.status == 201:
            self.made[answer.slug][answer.body["id"]] = answer.body["title"]


@pytest.fixture(scope="module")
def own(admin_url: str, worker_id: str) -> Generator[Settings]:
    """An installation of these tests alone, migrated by the old release."""
    with installed(admin_url, f"leasehold_window_{worker_id}_{new_slug()[2:]}") as settings:
        migrate(settings)
        yield settings


@pytest.fixture(scope="module")
def servers(own: Settings, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Server, Server]]:
    """A server of the old release, and one of the new."""
    with old_and_new(own, tmp_path_factory.mktemp("releases")) as started:
        yield started


@pytest.fixture
async def owner(own: Settings) -> AsyncGenerator[Any]:
    assert own.owner_url is not None
    connection = await asyncpg.connect(driver_url(own.owner_url.get_secret_value()))
    yield connection
    await connection.close()


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60) as made:
        yield made


async def provision(own: Settings, servers: tuple[Server, Server], count: int) -> list[Tenant]:
    """Make tenants as the old release does, and wait until both servers know them."""
    made = await provision_by_old(own, count)
    async with httpx.AsyncClient() as client, asyncio.timeout(60):
        for server in servers:
            while (await server.ask(client, made[-1], "/v1/items")).status == 404:
                await asyncio.sleep(0.01)
    return made


async def demand_soon(server: Server, tenant: Tenant, *, served: bool) -> None:
    """Demand that a server begins to serve a tenant, or to ask it to come back, and goes on to."""
    since = time.monotonic()
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await server.ask(client, tenant, "/v1/items")
        while answer.is_served is not served and answer.ended < since + SOON_S:
            await asyncio.sleep(0.01)
            answer = await server.ask(client, tenant, "/v1/items")
        for made in (None, "desk", None):
            answer = await server.ask(client, tenant, "/v1/items", made=made)
            assert answer.is_served if served else answer.asks_to_come_back, answer
            assert answer.wrong_rows == []


async def revision_of(owner: Any, tenant: Tenant) -> str:
    """Return where a tenant stands, which registry and schema must agree on."""
    found = await owner.fetchval(f'SELECT version_num FROM "{tenant.ref.schema}".alembic_version')
    assert await owner.fetchval("SELECT revision FROM platform.tenants WHERE id = $1", tenant.ref.id) == found
    return found


async def migrate_all(server: Server, tenants: list[Tenant], *options: str) -> Finished:
    """Run `leasehold migrate all` for some tenants; those of other tests stay as they are."""
    slugs = ",".join(tenant.ref.slug for tenant in tenants)
    return await asyncio.to_thread(server.migrate_all, "--only", slugs, "--allow-destructive", *options)


async def items_of(server: Server, client: httpx.AsyncClient, tenant: Tenant) -> list[dict[str, Any]]:
    """Return all items of a tenant, page by page."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await server.ask(client, tenant, f"/v1/items?limit=100{cursor}")
        rows += answer.rows
        if not answer.body["has_more"]:
            return rows
        cursor = f"&cursor={answer.body['next_cursor']}"


async def waiting(owner: Any, tenant: Tenant, count: int) -> None:
    """Wait until so many wait for the items of a tenant."""
    sql = "SELECT count(*) FROM pg_locks WHERE relation = $1::text::regclass AND NOT granted"
    while await owner.fetchval(sql, f'"{tenant.ref.schema}".items') < count:
        await asyncio.sleep(0.01)


async def test_a_tenant_that_fails_at_the_contraction_stays_before_it_and_is_served_by_old_and_new_code(
    own: Settings, servers: tuple[Server, Server], owner: Any
) -> None:
    old, new = servers
    acme, globex = tenants = await provision(own, servers, 2)
    succeeded(await migrate_all(new, tenants, "--to", NEUTRAL))
    schema = acme.ref.schema
    await owner.execute(f'CREATE VIEW "{schema}".report AS SELECT description FROM "{schema}".items')
    assert (await migrate_all(new, tenants)).returncode == 1
    assert [await revision_of(owner, tenant) for tenant in tenants] == [NEUTRAL, CONTRACT]
    await demand_soon(old, acme, served=True)
    await demand_soon(new, acme, served=True)
    await demand_soon(old, globex, served=False)
    await demand_soon(new, globex, served=True)
    await owner.execute(f'DROP VIEW "{schema}".report')


async def test_a_tenant_that_fails_at_the_expansion_is_served_by_old_code_and_soon_after_a_retry_by_new_code(
    own: Settings, servers: tuple[Server, Server], owner: Any
) -> None:
    old, new = servers
    acme, globex = tenants = await provision(own, servers, 2)
    before = await revision_of(owner, acme)
    await owner.execute(f'ALTER TABLE "{acme.ref.schema}".items ADD COLUMN colour int')
    assert (await migrate_all(new, tenants, "--to", NEUTRAL)).returncode == 1
    assert [await revision_of(owner, tenant) for tenant in tenants] == [before, NEUTRAL]
    await demand_soon(old, acme, served=True)
    await demand_soon(new, acme, served=False)
    await demand_soon(new, globex, served=True)
    await owner.execute(f'ALTER TABLE "{acme.ref.schema}".items DROP COLUMN colour')
    succeeded(await asyncio.to_thread(new.migrate_all, "--to", NEUTRAL, "--retry-failed"))
    await demand_soon(new, acme, served=True)
    await demand_soon(old, acme, served=True)


async def test_requests_to_old_code_that_wait_behind_the_contraction_are_asked_to_come_back(
    own: Settings, servers: tuple[Server, Server], owner: Any, client: httpx.AsyncClient
) -> None:
    old, new = servers
    (acme,) = await provision(own, servers, 1)
    succeeded(await migrate_all(new, [acme], "--to", NEUTRAL))
    desk = await old.ask(client, acme, "/v1/items", made="desk")
    await demand_soon(new, acme, served=True)
    async with asyncio.timeout(WITHIN_ALL_S), asyncio.TaskGroup() as group, owner.transaction():
        await owner.execute(f'LOCK TABLE "{acme.ref.schema}".items IN ACCESS SHARE MODE')
        run = group.create_task(migrate_all(new, [acme], "--lock-timeout", "30"))
        await waiting(owner, acme, 1)
        asked = [("/v1/items", None), (f"/v1/items/{desk.body['id']}", None), ("/v1/items", "chair")]
        of_old, of_new = (
            [group.create_task(server.ask(client, acme, path, made=made)) for path, made in asked] for server in servers
        )
        await waiting(owner, acme, 7)
    succeeded(run.result())
    assert [task.result().is_served for task in of_new] == [True] * 3
    assert [task.result().asks_to_come_back for task in of_old] == [True] * 3, [task.result() for task in of_old]


async def test_a_write_by_old_code_that_waits_behind_a_rule_which_it_does_not_know_is_asked_to_come_back(
    own: Settings, servers: tuple[Server, Server], owner: Any, client: httpx.AsyncClient
) -> None:
    old, new = servers
    (acme,) = await provision(own, servers, 1)
    succeeded(await migrate_all(new, [acme], "--to", NEUTRAL))
    await demand_soon(old, acme, served=True)
    async with asyncio.timeout(WITHIN_ALL_S), asyncio.TaskGroup() as group, owner.transaction():
        await owner.execute(f'ALTER TABLE "{acme.ref.schema}".items ADD CHECK (false) NOT VALID')
        await owner.execute("UPDATE platform.tenants SET revision = $2 WHERE id = $1", acme.ref.id, CONTRACT)
        asked = group.create_task(old.ask(client, acme, "/v1/items", made="chair"))
        await waiting(owner, acme, 1)
    assert asked.result().asks_to_come_back, asked.result()


async def test_under_load_old_code_serves_each_tenant_until_the_contraction_and_new_code_from_the_expansion_on(
    own: Settings, servers: tuple[Server, Server], owner: Any, client: httpx.AsyncClient
) -> None:
    old, new = servers
    base = TenantHistory.load(own.migrations_dir).head
    tenants = await provision(own, servers, TENANTS)
    traffic = Traffic(servers, tenants, base)
    await traffic.seed()
    async with asyncio.timeout(WITHIN_ALL_S), traffic.flowing(owner):
        await traffic.decided_at(base)
        for revision in (EXPAND, NEUTRAL, CONTRACT):
            how = ("--to", revision, "--wave", "5", "--jobs", "2", "--allow-destructive")
            succeeded(await asyncio.to_thread(new.migrate_all, *how))
            await traffic.decided_at(revision)

    assert traffic.mixtures >= {frozenset(pair) for pair in pairwise((base, EXPAND, NEUTRAL, CONTRACT))}
    assert [answer for answer in traffic.answers if answer.wrong_rows] == []
    failed = [answer for answer in traffic.answers if not answer.is_served and not answer.asks_to_come_back]
    assert failed == [], old.process.printed + new.process.printed
    assert [answer for answer in traffic.answers if traffic.must_serve(answer) is (not answer.is_served)] == []
    for tenant in tenants:
        rows = await items_of(new, client, tenant)
        assert {row["id"]: row["title"] for row in rows} == traffic.made[tenant.ref.slug]
        assert all(is_right(row, tenant.ref.slug, read_by="new") for row in rows)
