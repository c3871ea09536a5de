"""Quotas that several processes count together, in PostgreSQL or in Valkey."""

import asyncio
import os
import random
import secrets
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import psycopg
import pytest
import structlog
from structlog.testing import LogCapture
from valkey import Valkey as BlockingClient
from valkey.asyncio import Valkey as Client

from leasehold.config import Settings
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.quotas import shared
from leasehold.core.quotas.limits import SECOND, Limits, Policy, Window
from leasehold.core.quotas.memory import ProcessQuotas
from leasehold.core.quotas.opening import open_valkey
from leasehold.core.quotas.shared import Answer, Asked, QuotaStore, SharedQuotas, StoreAway
from leasehold.tenancy.bind import binding_sql
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.quotas import PostgresQuotas
from tests.valkey import Valkey, valkey

ONE_AN_HOUR = Limits(Policy("client", (Window(1, 3600),)))
SEVERAL = Limits(
    Policy("client", (Window(5, 1000), Window(20, 10_000))),
    Policy("tenant", (Window(7, 300), Window(30, 6000))),
)
"""A Valkey forgets by its own clock, whatever it is told of the time: none of them is whole while a test lasts."""
_NOBODY = {"postgresql": "postgresql://lh_app:x@127.0.0.1:1/nothing", "valkey": "valkey://127.0.0.1:1/0"}


class Store(Protocol):
    """A store that can be told what time it is."""

    async def take(self, asked: Sequence[Asked], *, at_ns: int | None = None) -> Sequence[Answer]: ...
    async def forget_whole(self) -> None: ...
    async def close(self) -> None: ...


class Counted:
    """Counts how often a store was asked."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls = 0

    async def take(self, asked: Sequence[Asked], *, at_ns: int | None = None) -> Sequence[Answer]:
        self.calls += 1
        return await self.store.take(asked, at_ns=at_ns)

    async def forget_whole(self) -> None:
        await self.store.forget_whole()

    async def close(self) -> None:
        await self.store.close()


def opened(kind: str, url: str, timeout_s: float = 5) -> Any:
    """Return a store at a URL."""
    if kind == "valkey":
        return open_valkey(url, installation="https://leasehold.test", timeout_s=timeout_s)
    return PostgresQuotas(url, timeout_s=timeout_s, prepared_statements=True)


def url_of(settings: Settings) -> str:
    return settings.database_url.get_secret_value()


async def said(url: str, *words: str) -> Any:
    """Say something to a Valkey, and return its answer."""
    async with Client.from_url(url) as client:
        return await client.execute_command(*words)


@pytest.fixture(scope="module")
def server() -> Generator[Valkey]:
    """A Valkey for these tests."""
    with valkey() as running:
        yield running


@pytest.fixture(params=["postgresql", "valkey"])
def kind(request: pytest.FixtureRequest) -> str:
    """What counts."""
    return request.param


@pytest.fixture
def url(request: pytest.FixtureRequest, kind: str, settings: Settings) -> str:
    """Where it counts, as the login of the app."""
    return request.getfixturevalue("server").url if kind == "valkey" else url_of(settings)


@pytest.fixture
async def store(kind: str, url: str) -> AsyncGenerator[Counted]:
    """The store of the quotas."""
    made = Counted(opened(kind, url))
    yield made
    await made.close()


@pytest.fixture
async def app_login(settings: Settings) -> AsyncGenerator[DriverConnection]:
    """A connection of the login of the app."""
    connection: Any = await asyncpg.connect(driver_url(url_of(settings)))
    yield connection
    await connection.close()


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return secrets.token_hex(8)


@pytest.mark.parametrize("seed", range(5))
async def test_a_store_counts_as_a_process_does(store: Counted, key: str, seed: int) -> None:
    dice = random.Random(seed)
    alone, now, granted = ProcessQuotas(), 1_700_000_000 * SECOND, 0
    for _ in range(60):
        now += dice.choice([0, dice.randrange(100 * SECOND), dice.randrange(2000 * SECOND)])
        asked = [
            Asked(SEVERAL, (f"{key} {dice.randrange(3)}", f"{key} {dice.randrange(2)}"))
            for _ in range(dice.randrange(1, 9))
        ]
        expected: list[Answer] = []
        for one in asked:
            is_granted, whole_at = alone.take(one.limits, one.keys, now)
            expected.append((is_granted, [at - now for at in whole_at]))
        assert await store.take(asked, at_ns=now) == expected
        granted += sum(is_granted for is_granted, _ in expected)
    assert 60 < granted < 240


async def test_requests_of_several_kinds_go_in_one_call(store: Counted, key: str) -> None:
    again = Asked(ONE_AN_HOUR, (f"a {key}",))
    asked = [again, Asked(SEVERAL, (f"b {key}", f"t {key}")), again]
    answers = await store.take(asked)
    assert [(granted, len(ahead)) for granted, ahead in answers] == [(True, 1), (True, 4), (False, 1)]


async def test_a_clock_that_is_put_right_a_little_makes_no_quota_whole(store: Counted, key: str) -> None:
    one = [Asked(ONE_AN_HOUR, (key,))]
    now = 1_700_000_000 * SECOND
    assert (await store.take(one, at_ns=now))[0][0]
    for back in (1, SECOND, 50 * SECOND):
        assert await store.take(one, at_ns=now - back) == [(False, [3600 * SECOND])]


async def test_a_clock_that_was_set_back_shuts_nobody_out(store: Counted, key: str) -> None:
    one = [Asked(ONE_AN_HOUR, (key,))]
    now = 1_700_000_000 * SECOND
    assert (await store.take(one, at_ns=now))[0][0]
    assert not (await store.take(one, at_ns=now))[0][0]
    assert (await store.take(one, at_ns=now - 86_400 * SECOND))[0][0]


async def test_processes_that_ask_at_once_get_what_there_is_and_no_more(
    settings: Settings, kind: str, url: str, key: str, project: Path
) -> None:
    """Each of two clients may send 400, and their tenant 600; three processes ask for each 350 times."""
    environment = {
        "LEASEHOLD_DATABASE_URL": url_of(settings),
        "LEASEHOLD_INSTALLATION_KEY": settings.installation_key.get_secret_value(),
        "LEASEHOLD_VALKEY_URL": url if kind == "valkey" else "",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.integration.tenancy.quota_asker", key, "350"),
            env=environment,
            cwd=project,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    try:
        async with asyncio.timeout(120):
            for process in processes:
                assert process.stdout is not None
                assert await process.stdout.readline() == b"ready\n"
            got = [out for out, _ in await asyncio.gather(*(process.communicate(b"go\n") for process in processes))]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
    assert sum(map(int, got)) == 600


async def test_stores_that_ask_for_the_same_keys_in_other_orders_never_block_one_another(
    kind: str, url: str, key: str
) -> None:
    """A deadlock would be told as a store that is away."""
    stores = [opened(kind, url, timeout_s=30) for _ in range(6)]
    limits = Limits(Policy("client", (Window(50, 3600),)))

    async def ask(store: QuotaStore, dice: random.Random) -> int:
        granted = 0
        for _ in range(30):
            keys = [f"{key} {number}" for number in range(12)]
            dice.shuffle(keys)
            answers = await store.take([Asked(limits, (one,)) for one in keys[:8]])
            granted += sum(is_granted for is_granted, _ in answers)
            if dice.random() < 0.1:
                await store.forget_whole()
        return granted

    got = await asyncio.gather(*(ask(store, random.Random(number)) for number, store in enumerate(stores)))
    assert sum(got) == 12 * 50
    for store in stores:
        await store.close()


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_quotas_that_are_whole_again_are_forgotten_and_no_others(
    store: Counted, app_login: DriverConnection, key: str
) -> None:
    await store.take([Asked(ONE_AN_HOUR, (f"{number} {key}",)) for number in range(10)], at_ns=1)
    long_ago = "SELECT count(*) FROM platform.quotas WHERE whole_at_ns = 3600000000001"
    assert await app_login.fetchval(long_ago) == 10
    assert (await store.take([Asked(ONE_AN_HOUR, (key,))]))[0][0]
    await store.forget_whole()
    assert await app_login.fetchval(long_ago) == 0
    assert not (await store.take([Asked(ONE_AN_HOUR, (key,))]))[0][0]


async def test_a_flood_that_is_refused_does_not_reach_the_store(store: Counted, key: str) -> None:
    quotas = SharedQuotas(store, ProcessQuotas())
    assert (await quotas.take(ONE_AN_HOUR, (key,)))[0]
    answers = [await quotas.take(ONE_AN_HOUR, (key,)) for _ in range(100)]
    assert not any(granted for granted, _ in answers)
    assert store.calls == 2
    assert answers[0][1][0] >= answers[-1][1][0] > 3500 * SECOND


async def test_what_is_asked_while_a_call_is_under_way_goes_in_one_more(store: Counted, key: str) -> None:
    quotas = SharedQuotas(store, ProcessQuotas())
    limits = Limits(Policy("client", (Window(30, 3600),)))
    answers = await asyncio.gather(*(quotas.take(limits, (key,)) for _ in range(50)))
    assert [granted for granted, _ in answers] == [True] * 30 + [False] * 20
    assert store.calls <= 2


async def test_a_refusal_that_is_remembered_ends_when_there_is_room(store: Counted, key: str) -> None:
    quotas, limits = SharedQuotas(store, ProcessQuotas()), Limits(Policy("client", (Window(1, 1),)))
    granted, ahead = True, list[int]()
    while granted:  # a second may pass between two
        granted, ahead = await quotas.take(limits, (key,))
    await asyncio.sleep(limits.wait(ahead) / SECOND + 0.05)
    assert (await quotas.take(limits, (key,)))[0]


async def test_while_the_store_is_away_each_process_counts_by_itself_and_says_so_once(
    kind: str, url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = LogCapture()
    level = structlog.make_filtering_bound_logger(10)
    monkeypatch.setattr(shared, "_log", structlog.wrap_logger(None, processors=[capture], wrapper_class=level))
    monkeypatch.setattr(shared, "AWAY_S", 0.0)
    store = Counted(opened(kind, _NOBODY[kind]))
    quotas = SharedQuotas(store, ProcessQuotas())
    assert [(await quotas.take(ONE_AN_HOUR, (key,)))[0] for _ in range(3)] == [True, False, False]
    store.store = opened(kind, url)
    assert [(await quotas.take(ONE_AN_HOUR, (key,)))[0] for _ in range(2)] == [True, False]
    assert [entry["event"] for entry in capture.entries] == ["quota_store_lost", "quota_store_found"]
    await quotas.close()


async def test_a_store_that_failed_is_left_alone_for_a_while(
    kind: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "AWAY_S", 600.0)
    store = Counted(opened(kind, _NOBODY[kind]))
    quotas = SharedQuotas(store, ProcessQuotas())
    for _ in range(50):
        await quotas.take(ONE_AN_HOUR, (key,))
    assert store.calls == 1


async def test_who_waits_behind_another_call_waits_no_longer_than_for_one_of_its_own(kind: str, key: str) -> None:
    """Or forgetting quotas in a store that hangs would keep requests waiting for as long again."""
    store = opened(kind, _NOBODY[kind], timeout_s=0.05)
    async with asyncio.timeout(10), store._lock:
        with pytest.raises(StoreAway):
            await store.take([Asked(ONE_AN_HOUR, (key,))])


async def test_a_store_whose_connection_is_killed_is_asked_again_on_a_new_one(
    kind: str, url: str, store: Counted, key: str
) -> None:
    await store.take([Asked(ONE_AN_HOUR, (key,))])
    # Without a turn of the loop, in which the store might hear of it before it is asked.
    if kind == "valkey":
        opening: Any = BlockingClient  # its library knows types in part
        with opening.from_url(url) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    else:
        with psycopg.connect(url, autocommit=True) as login:
            pid = store.store._connection.get_server_pid()  # type: ignore[attr-defined]
            login.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(StoreAway):
        await store.take([Asked(ONE_AN_HOUR, (key,))])
    assert [granted for granted, _ in await store.take([Asked(ONE_AN_HOUR, (key,))])] == [False]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM platform.quotas",
        "SELECT granted FROM platform.take_from_quotas('{1}', ARRAY[gen_random_uuid()], '{1}', '{1}', NULL)",
        "SELECT platform.forget_whole_quotas(1)",
    ],
)
async def test_a_tenant_can_neither_see_nor_take_quotas(
    app_login: DriverConnection, acme: TenantRef, statement: str
) -> None:
    """Or who can run SQL in one tenant could use up what another has."""
    await app_login.execute(f"BEGIN; {binding_sql(acme, tenant_roles=True)}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app_login.fetch(statement)
