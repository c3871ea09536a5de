"""The reader: the same isolation as the session, and it cannot write, lose a place, or hand on what it broke."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from msgspec import Struct
from sqlalchemy import bindparam, func, literal_column, select, text

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.errors import DatabaseUnavailable, Problem
from leasehold.core.reads import ColumnMismatch, Read
from leasehold.core.sqlstate import TooSlow
from leasehold.tenancy.bind import ReaderPool, TenantReader, open_tenant_reader
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.items.models import Item

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
            "prepared_statements": True,
            "tenant_roles": True,
        }
        made.append(ReaderPool(settings.database_url.get_secret_value(), **(options | changes)))
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


async def _read(reader: TenantReader, tenant: TenantRef, leaks: list[str]) -> None:
    place = await reader.one(PLACE)
    assert place is not None
    if (place.path, place.role) != (tenant.schema, tenant.role):
        leaks.append(f"{tenant.slug} read as {place.role} in {place.path}")
    leaks += [f"{tenant.slug} saw {row.title}" for row in await reader.all(TITLES) if row.title != tenant.slug]


async def _request(pool: ReaderPool, tenant: TenantRef, act: str, leaks: list[str]) -> None:
    try:
        limit = 0.004 if act == "be cancelled" else None
        async with asyncio.timeout(limit), open_tenant_reader(pool, tenant) as reader:
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
        async with open_tenant_reader(pool, eight[0]) as reader:
            await reader.all(insert)


async def test_a_begin_that_meets_a_dead_connection_is_tried_on_a_fresh_one(
    make_pool: MakePool, settings: Settings, eight: list[TenantRef]
) -> None:
    pool = make_pool(1)
    admin: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
    for _ in range(3):
        async with open_tenant_reader(pool, eight[0]) as reader:
            backend = await reader.one(BACKEND)
        assert backend is not None
        await admin.execute("SELECT pg_terminate_backend($1, 5000)", backend.number)
        async with open_tenant_reader(pool, eight[0]) as reader:
            assert await reader.one(PLACE) == Place(eight[0].schema, eight[0].role)
    await admin.close()
    assert pool.open == 1


async def test_a_binding_that_fails_does_not_poison_the_pool(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1)
    nobody = dataclasses.replace(eight[0], role="lh_t_nobody")
    for _ in range(3):
        with pytest.raises((asyncpg.PostgresError, Problem)):
            async with open_tenant_reader(pool, nobody) as reader:
                await reader.one(PLACE)
        async with open_tenant_reader(pool, eight[1]) as reader:
            assert await reader.all(TITLES) == [Title(eight[1].slug)]


async def test_a_connection_that_has_met_too_many_tenants_retires(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1, max_tenants=3)
    backends: list[int] = []
    for tenant in eight:
        async with open_tenant_reader(pool, tenant) as reader:
            backend = await reader.one(BACKEND)
            assert backend is not None
            backends.append(backend.number)
    assert len(set(backends)) == 2
    assert backends[:4] == [backends[0]] * 4


async def test_an_empty_sub_pool_borrows(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(4, sub_pools=4, max_tenants=100)
    await pool.fill()
    hot = eight[0]
    backends: set[int] = set()
    together = asyncio.Barrier(4)

    async def read() -> None:
        async with open_tenant_reader(pool, hot) as reader:
            backend = await reader.one(BACKEND)
            assert backend is not None
            backends.add(backend.number)
            await together.wait()

    async with asyncio.timeout(5):
        await asyncio.gather(*(read() for _ in range(4)))
    assert len(backends) == 4


async def test_who_waits_too_long_is_told_that_the_database_is_busy(
    make_pool: MakePool, eight: list[TenantRef]
) -> None:
    pool = make_pool(1, timeout_s=0.05)
    async with open_tenant_reader(pool, eight[0]) as first:
        await first.one(PLACE)
        with pytest.raises(DatabaseUnavailable):
            async with open_tenant_reader(pool, eight[1]) as second:
                await second.one(PLACE)
    async with open_tenant_reader(pool, eight[1]) as reader:
        assert await reader.all(TITLES) == [Title(eight[1].slug)]


async def test_what_takes_too_long_is_a_problem(make_pool: MakePool, eight: list[TenantRef]) -> None:
    slow = Read(SLEEP_AFTER_LIMIT, Number)

    async def read_slowly() -> None:
        async with open_tenant_reader(make_pool(1), eight[0]) as reader:
            await reader.one(slow, limit="20ms")
            await reader.one(SLEEP)

    with pytest.raises(TooSlow):
        await read_slowly()


SLEEP_AFTER_LIMIT = select(func.length(func.set_config("statement_timeout", bindparam("limit"), True)).label("number"))


async def test_a_reader_that_reads_nothing_takes_no_connection(make_pool: MakePool, eight: list[TenantRef]) -> None:
    pool = make_pool(1)
    async with open_tenant_reader(pool, eight[0]):
        assert pool.open == 0


def test_a_read_whose_columns_are_not_its_structs_fields_is_refused() -> None:
    with pytest.raises(ColumnMismatch):
        Read(select(Item.id), Title)
