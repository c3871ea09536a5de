"""Quotas that several processes count together in PostgreSQL."""

import asyncio
import os
import random
import secrets
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from structlog.testing import LogCapture

from leasehold.config import Settings
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.quotas import shared
from leasehold.core.quotas.limits import SECOND, Limits, Policy, Window
from leasehold.core.quotas.memory import ProcessQuotas
from leasehold.core.quotas.shared import Answer, Asked, SharedQuotas, StoreAway
from leasehold.tenancy.bind import binding_sql
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.quotas import PostgresQuotas

ONE_AN_HOUR = Limits(Policy("client", (Window(1, 3600),)))
SEVERAL = Limits(
    Policy("client", (Window(5, 10), Window(20, 100))),
    Policy("tenant", (Window(7, 3), Window(30, 60))),
)
_NOBODY = "postgresql://lh_app:x@127.0.0.1:1/nothing"


class CountedQuotas(PostgresQuotas):
    """Counts how often PostgreSQL was asked."""

    calls = 0

    async def take(self, asked: Sequence[Asked], *, at_ns: int | None = None) -> Sequence[Answer]:
        """Count a call, and make it."""
        self.calls += 1
        return await super().take(asked, at_ns=at_ns)


def url_of(settings: Settings) -> str:
    return settings.database_url.get_secret_value()


@pytest.fixture
async def store(settings: Settings) -> AsyncGenerator[CountedQuotas]:
    """The store of the quotas, as the login of the app."""
    made = CountedQuotas(url_of(settings), timeout_s=5, prepared_statements=True)
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
async def test_postgresql_counts_as_a_process_does(store: CountedQuotas, key: str, seed: int) -> None:
    dice = random.Random(seed)
    alone, now, granted = ProcessQuotas(), 1_700_000_000 * SECOND, 0
    for _ in range(60):
        now += dice.choice([0, dice.randrange(SECOND), dice.randrange(20 * SECOND)])
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


async def test_requests_of_several_kinds_go_in_one_call(store: CountedQuotas, key: str) -> None:
    again = Asked(ONE_AN_HOUR, (f"a {key}",))
    asked = [again, Asked(SEVERAL, (f"b {key}", f"t {key}")), again]
    answers = await store.take(asked)
    assert [(granted, len(ahead)) for granted, ahead in answers] == [(True, 1), (True, 4), (False, 1)]


async def test_a_clock_that_is_put_right_a_little_makes_no_quota_whole(store: CountedQuotas, key: str) -> None:
    one = [Asked(ONE_AN_HOUR, (key,))]
    now = 1_700_000_000 * SECOND
    assert (await store.take(one, at_ns=now))[0][0]
    for back in (1, SECOND, 50 * SECOND):
        assert await store.take(one, at_ns=now - back) == [(False, [3600 * SECOND])]


async def test_a_clock_that_was_set_back_shuts_nobody_out(store: CountedQuotas, key: str) -> None:
    one = [Asked(ONE_AN_HOUR, (key,))]
    now = 1_700_000_000 * SECOND
    assert (await store.take(one, at_ns=now))[0][0]
    assert not (await store.take(one, at_ns=now))[0][0]
    assert (await store.take(one, at_ns=now - 86_400 * SECOND))[0][0]


async def test_processes_that_ask_at_once_get_what_there_is_and_no_more(
    settings: Settings, key: str, project: Path
) -> None:
    """Each of two clients may send 400, and their tenant 600; three processes ask for each 350 times."""
    environment = {
        "LEASEHOLD_DATABASE_URL": url_of(settings),
        "LEASEHOLD_INSTALLATION_KEY": settings.installation_key.get_secret_value(),
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
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    got = [out for out, _ in await asyncio.gather(*(process.communicate(b"go\n") for process in processes))]
    assert sum(map(int, got)) == 600


async def test_stores_that_ask_for_the_same_keys_in_other_orders_never_block_one_another(
    settings: Settings, key: str
) -> None:
    """A deadlock would be told as a store that is away."""
    stores = [PostgresQuotas(url_of(settings), timeout_s=30, prepared_statements=True) for _ in range(6)]
    limits = Limits(Policy("client", (Window(50, 3600),)))

    async def ask(store: PostgresQuotas, dice: random.Random) -> int:
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


async def test_quotas_that_are_whole_again_are_forgotten_and_no_others(
    store: CountedQuotas, app_login: DriverConnection, key: str
) -> None:
    await store.take([Asked(ONE_AN_HOUR, (f"{number} {key}",)) for number in range(10)], at_ns=1)
    long_ago = "SELECT count(*) FROM platform.quotas WHERE whole_at_ns = 3600000000001"
    assert await app_login.fetchval(long_ago) == 10
    assert (await store.take([Asked(ONE_AN_HOUR, (key,))]))[0][0]
    await store.forget_whole()
    assert await app_login.fetchval(long_ago) == 0
    assert not (await store.take([Asked(ONE_AN_HOUR, (key,))]))[0][0]


async def test_a_flood_that_is_refused_does_not_reach_the_store(store: CountedQuotas, key: str) -> None:
    quotas = SharedQuotas(store, ProcessQuotas())
    assert (await quotas.take(ONE_AN_HOUR, (key,)))[0]
    answers = [await quotas.take(ONE_AN_HOUR, (key,)) for _ in range(100)]
    assert not any(granted for granted, _ in answers)
    assert store.calls == 2
    assert answers[0][1][0] >= answers[-1][1][0] > 3500 * SECOND


async def test_what_is_asked_while_a_call_is_under_way_goes_in_one_more(store: CountedQuotas, key: str) -> None:
    quotas = SharedQuotas(store, ProcessQuotas())
    limits = Limits(Policy("client", (Window(30, 3600),)))
    answers = await asyncio.gather(*(quotas.take(limits, (key,)) for _ in range(50)))
    assert [granted for granted, _ in answers] == [True] * 30 + [False] * 20
    assert store.calls <= 2


async def test_a_refusal_that_is_remembered_ends_when_there_is_room(store: CountedQuotas, key: str) -> None:
    quotas, limits = SharedQuotas(store, ProcessQuotas()), Limits(Policy("client", (Window(1, 1),)))
    assert (await quotas.take(limits, (key,)))[0]
    granted, ahead = await quotas.take(limits, (key,))
    assert not granted
    await asyncio.sleep(limits.wait(ahead) / SECOND + 0.05)
    assert (await quotas.take(limits, (key,)))[0]


async def test_while_the_store_is_away_each_process_counts_by_itself_and_says_so_once(
    settings: Settings, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = LogCapture()
    level = structlog.make_filtering_bound_logger(10)
    monkeypatch.setattr(shared, "_log", structlog.wrap_logger(None, processors=[capture], wrapper_class=level))
    monkeypatch.setattr(shared, "AWAY_S", 0.0)
    store = CountedQuotas(_NOBODY, timeout_s=5, prepared_statements=True)
    quotas = SharedQuotas(store, ProcessQuotas())
    assert [(await quotas.take(ONE_AN_HOUR, (key,)))[0] for _ in range(3)] == [True, False, False]
    store._url = driver_url(url_of(settings))
    assert [(await quotas.take(ONE_AN_HOUR, (key,)))[0] for _ in range(2)] == [True, False]
    assert [entry["event"] for entry in capture.entries] == ["quota_store_lost", "quota_store_found"]
    await quotas.close()


async def test_a_store_that_failed_is_left_alone_for_a_second(key: str) -> None:
    store = CountedQuotas(_NOBODY, timeout_s=5, prepared_statements=True)
    quotas = SharedQuotas(store, ProcessQuotas())
    for _ in range(50):
        await quotas.take(ONE_AN_HOUR, (key,))
    assert store.calls == 1


async def test_a_store_whose_connection_is_killed_is_asked_again_on_a_new_one(
    settings: Settings, store: CountedQuotas, app_login: DriverConnection, key: str
) -> None:
    await store.take([Asked(ONE_AN_HOUR, (key,))])
    assert store._connection is not None
    await app_login.execute("SELECT pg_terminate_backend($1)", store._connection.get_server_pid())
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
