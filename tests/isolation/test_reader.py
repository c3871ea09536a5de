"""The reader: the same isolation as the session, and it cannot write, lose a place, or hand on what it broke."""

import asyncio
import dataclasses
import gc
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from msgspec import Struct
from sqlalchemy import func, literal_column, select, text

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.errors import DatabaseUnavailable, Problem
from leasehold.core.reads import ColumnMismatch, Read
from leasehold.core.sqlstate import TooSlow
from leasehold.tenancy.bind import ReaderPool, TenantReader, tenant_reader
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.items.models import Item
from tests.pooler import direct

MakePool = Callable[..., ReaderPool]
DOINGS = ["read", "fail in Python", "fail in SQL", "be cancelled"]


class Place(Struct):
    path: str
    role: str


class Title(Struct):
    title: str


class Number(Struct):
    number: int


PLACE = Read(
    select(literal_column("current_schema()::text").label("path"), literal_column("current_user::text").label("role")),
    Place,
)
TITLES = Read(select(Item.title).distinct(), Title)
SLEEP = Read(select(literal_column("1").label("number")).where(text("pg_sleep(1) IS NOT NULL")), Number)
FAIL = Read(select(literal_column("1 / 0").label("number")), Number)
BACKEND = Read(select(func.pg_backend_pid().label("number")), Number)
QUERY = Read(select(func.current_query().label("title")), Title)
SLOW_BACKEND = Read(select(func.pg_backend_pid().label("number")).where(text("pg_sleep(0.2) IS NOT NULL")), Number)


@pytest.fixture
async def make_pool(settings: Settings) -> AsyncGenerator[MakePool]:
    """Make pools that are closed at the end."""
    made: list[ReaderPool] = []

    def make(size: int, **changes: Any) -> ReaderPool:
        options: dict[str, Any] = {
            "size": size,
            "sub_pools": 2,
            "max_tenants": 3,
            "timeout_s": 10,
            "prepared_statements": settings.prepared_statements,
            "tenant_roles": True,
        }
        made.append(ReaderPool(settings.database_url.get_secret_value(), **(options | changes)))
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


async def _backend(pool: ReaderPool, tenant: TenantRef) -> int:
    backend = await tenant_reader(pool, tenant).one(BACKEND)
    assert backend is not None
    return backend.number


async def _begins_of(pool: ReaderPool, tenant: TenantRef) -> list[str]:
    """Open the only connection of a pool, and return a list of what begins transactions on it from now on."""
    begins: list[str] = []
    connection = await pool.acquire(tenant.id)
    connection.add_query_logger(lambda query: begins.append(query.query) if "BEGIN" in query.query else None)
    pool.release(connection)
    return begins


async def _read(reader: TenantReader, tenant: TenantRef, leaks: list[str]) -> None:
    place = await reader.one(PLACE)
    assert place is not None
    if (place.path, place.role) != (tenant.schema, tenant.role):
        leaks.append(f"{tenant.slug} read as {place.role} in {place.path}")
    leaks += [f"{tenant.slug} saw {row.title}" for row in await reader.all(TITLES) if row.title != tenant.slug]


async def _request(pool: ReaderPool, tenant: TenantRef, act: str, leaks: list[str]) -> None:
    try:
        limit = 0.004 if act == "be cancelled" else None
        async with asyncio.timeout(limit):
            reader = tenant_reader(pool, tenant)
            await _read(reader, tenant, leaks)
            if act == "fail in Python":
                raise LookupError
            if act == "fail in SQL":
                await reader.one(FAIL)
            if act == "be cancelled":
                await reader.one(SLEEP)
    except (LookupError, TimeoutError, asyncpg.PostgresError):
        pass


async def play(pool: ReaderPool, tenants: list[TenantRef], script: list[tuple[int, str]]) -> list[str]:
    leaks: list[str] = []
    await asyncio.gather(*(_request(pool, tenants[number], act, leaks) for number, act in script))
    return leaks


@pytest.mark.parametrize("size", [1, 4])
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(
    script=strategies.lists(
        strategies.tuples(
            strategies.integers(0, 7),
            strategies.sampled_from(DOINGS),
        ),
        max_size=24,
    )
)
async def test_no_interleaving_of_reads_shows_one_tenant_to_another(
    make_pool: MakePool, eight: list[TenantRef], size: int, script: list[tuple[int, str]]
) -> None:
    pool = make_pool(size)
    assert await play(pool, eight, script) == []
    assert pool.idle == pool.open <= size
    await pool.close()


async def test_a_reader_cannot_write(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1)
    insert = Read(select(literal_column("1").label("number")), Number)
    insert.sql = "INSERT INTO items (id, title, created_at, updated_at) VALUES (gen_random_uuid(), 'x', now(), now())"
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await tenant_reader(pool, eight[0]).all(insert)


async def test_a_begin_that_meets_a_dead_connection_is_tried_on_a_fresh_one(
    make_pool: MakePool, settings: Settings, eight: list[TenantRef]
) -> None:
    pool = make_pool(1)
    admin: Any = await asyncpg.connect(driver_url(direct(settings)))
    for _ in range(3):
        backend = await _backend(pool, eight[0])
        await admin.execute("SELECT pg_terminate_backend($1, 5000)", backend)
        assert await tenant_reader(pool, eight[0]).one(PLACE) == Place(eight[0].schema, eight[0].role)
    await admin.close()
    assert pool.open == 1


async def test_a_binding_that_fails_does_not_poison_the_pool(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1)
    nobody = dataclasses.replace(eight[0], role="lh_t_nobody")
    for _ in range(3):
        with pytest.raises((asyncpg.PostgresError, Problem)):
            await tenant_reader(pool, nobody).one(PLACE)
        assert await tenant_reader(pool, eight[1]).all(TITLES) == [Title(eight[1].slug)]


@pytest.mark.not_pooled("counts backends, of which the pooler has one")
async def test_a_connection_that_has_met_too_many_tenants_retires(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1, max_tenants=3)
    backends = [await _backend(pool, tenant) for tenant in eight]
    assert len(set(backends)) == 2
    assert backends[:4] == [backends[0]] * 4


@pytest.mark.not_pooled("counts backends, of which the pooler has one")
async def test_an_empty_sub_pool_borrows(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(4, sub_pools=4, max_tenants=100)
    await pool.fill()
    readers = (tenant_reader(pool, eight[0]) for _ in range(4))
    backends = await asyncio.gather(*(reader.one(SLOW_BACKEND) for reader in readers))
    assert len({backend.number for backend in backends if backend}) == 4


async def test_who_waits_too_long_is_told_that_the_database_is_busy(
    make_pool: MakePool, eight: list[TenantRef]
) -> None:
    pool = make_pool(1, timeout_s=0.05)
    first = asyncio.create_task(tenant_reader(pool, eight[0]).one(SLOW_BACKEND))
    await asyncio.sleep(0)  # the task takes the only place in its first step
    with pytest.raises(DatabaseUnavailable):
        await tenant_reader(pool, eight[1]).one(PLACE)
    await first
    assert await tenant_reader(pool, eight[1]).all(TITLES) == [Title(eight[1].slug)]


async def test_a_request_that_was_refused_is_not_kept_though_no_connection_comes_back(
    make_pool: MakePool, eight: list[TenantRef]
) -> None:
    class Request:
        """What the frames of a request hold."""

    pool = make_pool(1, timeout_s=0.01)
    kept: list[weakref.ref[Request]] = []

    async def refused() -> bool:
        request = Request()
        kept.append(weakref.ref(request))
        try:
            await pool.acquire(eight[0].id)
        except DatabaseUnavailable:
            return True
        return False

    connection = await pool.acquire(eight[1].id)
    gc.disable()
    try:
        assert await asyncio.gather(*(refused() for _ in range(5))) == [True] * 5
        assert [request() for request in kept] == [None] * 5
    finally:
        gc.enable()
        pool.release(connection)


async def test_what_takes_too_long_is_a_problem(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1)
    await pool.fill()
    connection = await pool.acquire(eight[0].id)
    await connection.execute("SET statement_timeout = '300ms'")
    pool.release(connection)
    with pytest.raises(TooSlow):
        await tenant_reader(pool, eight[0]).one(SLEEP)


@pytest.mark.parametrize(
    ("asked", "told", "within_s"),
    [
        ("SELECT pg_terminate_backend(pg_backend_pid()) WHERE $1::uuid IS NOT NULL", DatabaseUnavailable, 30),
        ("SELECT pg_sleep(60) WHERE $1::uuid IS NOT NULL", TimeoutError, 1),
    ],
    ids=["lost", "cancelled"],
)
async def test_a_connection_that_is_lost_or_left_while_it_tells_whether_the_tenant_moved_is_used_no_more(
    make_pool: MakePool,
    eight: list[TenantRef],
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    told: type[Exception],
    within_s: float,
) -> None:
    pool = make_pool(1)
    missing = Read(select(literal_column("1").label("number")), Number)
    missing.sql = "SELECT 1 FROM no_such_table"
    await pool.fill()
    monkeypatch.setattr("leasehold.tenancy.bind.reader.PLACE", asked)
    with pytest.raises(told):
        async with asyncio.timeout(within_s):
            await tenant_reader(pool, eight[0]).one(missing)
    assert pool.open == 0
    assert await tenant_reader(pool, eight[1]).all(TITLES) == [Title(eight[1].slug)]


async def test_reads_carry_the_revision_of_the_tenant(make_pool: MakePool, eight: list[TenantRef]) -> None:
    later = dataclasses.replace(eight[0], revision="feedc0de")
    query = await tenant_reader(make_pool(1), later).one(QUERY)
    assert query is not None
    assert query.title.endswith("/* feedc0de */")


async def test_between_two_reads_nothing_is_held(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1)
    reader = tenant_reader(pool, eight[0])
    assert pool.open == 0
    await reader.one(PLACE)
    assert pool.idle == pool.open == 1


async def test_a_connection_is_handed_over_in_an_open_transaction_and_shows_no_other_tenant(
    make_pool: MakePool, eight: list[TenantRef]
) -> None:
    pool = make_pool(1, max_tenants=100)
    begins = await _begins_of(pool, eight[0])
    script = [(number % 8, "read") for number in range(64)]
    assert await play(pool, eight, script) == []
    merged = sum(begin.startswith("COMMIT; BEGIN READ ONLY; SET LOCAL search_path") for begin in begins)
    assert merged > 100
    assert len(begins) == 128
    connection = await pool.acquire(eight[0].id)
    assert not connection.is_in_transaction()
    pool.release(connection)


async def test_a_connection_is_not_handed_over_for_ever(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1, max_tenants=100)
    begins = await _begins_of(pool, eight[0])
    await play(pool, eight, [(0, "read")] * 40)
    plain = [number for number, begin in enumerate(begins) if begin.startswith("BEGIN")]
    assert plain[:3] == [0, 21, 42]


async def test_who_is_cancelled_in_the_moment_of_a_hand_over_leaves_no_open_transaction(
    make_pool: MakePool, eight: list[TenantRef]
) -> None:
    pool = make_pool(1)
    connection = await pool.acquire(eight[0].id)
    await connection.execute("BEGIN READ ONLY")
    waiting = asyncio.create_task(tenant_reader(pool, eight[1]).one(PLACE))
    await asyncio.sleep(0)  # the task stands in the line after its first step
    assert pool.hand_over(connection)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool.open == pool.idle == 0
    assert await tenant_reader(pool, eight[1]).one(PLACE) == Place(eight[1].schema, eight[1].role)


async def test_a_pool_keeps_no_connection_in_an_open_transaction(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1)
    connection = await pool.acquire(eight[0].id)
    await connection.execute("BEGIN")
    pool.release(connection)
    assert pool.open == 0
    assert connection.is_closed()


def test_a_read_whose_columns_are_not_its_structs_fields_is_refused() -> None:
    with pytest.raises(ColumnMismatch):
        Read(select(Item.id), Title)
