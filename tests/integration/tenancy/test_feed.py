"""The directory follows the registry without skipping anything, whatever the order of commits."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from faults.wire import wired
from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.ids import new_id
from leasehold.core.vault import InstallationKey
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.directory import KnownSubjects, TenantDirectory
from leasehold.tenancy.feed import APPLICATION_NAME, DirectoryFeed
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.signing import SigningKeyWatch
from tests.factories import OPERATOR, new_slug, principal, provisioned, until

_SUSPEND = "UPDATE platform.tenants SET state = 'suspended' WHERE id = $1"
_CHANGE = """
INSERT INTO platform.registry_changes (id, tenant_id, xact) VALUES ($1, $2, pg_current_xact_id()::text::bigint)
"""

_TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE application_name = $1 AND datname = current_database()
"""


def _feed(settings: Settings, directory: TenantDirectory, *, listen: bool = False, poll_s: float) -> DirectoryFeed:
    return DirectoryFeed(
        directory,
        KnownSubjects(),
        SigningKeyWatch(InstallationKey(settings.installation_key.get_secret_value()), lambda _ring: None),
        url=settings.database_url.get_secret_value(),
        listen=listen,
        poll_s=poll_s,
    )


@pytest.fixture(params=[True, False], ids=["LISTEN", "polling"])
async def directory(settings: Settings, request: pytest.FixtureRequest) -> AsyncGenerator[TenantDirectory]:
    """A directory with a feed of its own."""
    made = TenantDirectory(max_age_s=5)
    feed = _feed(settings, made, listen=request.param, poll_s=0.05)
    await feed.start()
    yield made
    await feed.close()


@pytest.fixture(autouse=True)
async def undisturbed(process: Process) -> AsyncGenerator[None]:
    """What is done here to all feeds of the database is done to that of the process, too, which others rely on."""
    yield
    await provisioned(process)


@pytest.fixture
async def writers(settings: Settings) -> AsyncGenerator[list[Any]]:
    """Two connections of the app."""
    url = driver_url(settings.database_url.get_secret_value())
    made = [await asyncpg.connect(url) for _ in range(2)]
    yield made
    for connection in made:
        await connection.close()


async def test_a_change_that_commits_late_is_not_skipped(
    directory: TenantDirectory, process: Process, writers: list[Any], acme: TenantRef, globex: TenantRef
) -> None:
    early, late = writers
    await until(lambda: directory.by_id(acme.id) is not None and directory.by_id(globex.id) is not None)
    slow = early.transaction()
    await slow.start()
    await early.execute(_SUSPEND, acme.id)
    await early.execute(_CHANGE, new_id(), acme.id)
    async with late.transaction():
        await late.execute(_SUSPEND, globex.id)
        await late.execute(_CHANGE, new_id(), globex.id)
        await late.execute("SELECT pg_notify('leasehold_registry', '')")
    await until(lambda: _state(directory, globex) is TenantState.SUSPENDED)
    assert _state(directory, acme) is TenantState.ACTIVE
    await slow.commit()  # without a notification: the next look must find it all the same
    await until(lambda: _state(directory, acme) is TenantState.SUSPENDED)


async def test_who_waits_for_a_feed_finds_what_was_committed_before(
    settings: Settings, process: Process, writers: list[Any], acme: TenantRef
) -> None:
    """It neither listens nor looks by itself while this lasts."""
    directory = TenantDirectory(max_age_s=5)
    feed = _feed(settings, directory, poll_s=3600)
    await feed.start()
    for state in ("suspended", "active") * 10:
        async with writers[0].transaction():
            await writers[0].execute("UPDATE platform.tenants SET state = $2 WHERE id = $1", acme.id, state)
            await writers[0].execute(_CHANGE, new_id(), acme.id)
        await feed.caught_up()
        assert _state(directory, acme) == state
    await feed.close()


async def test_who_waits_for_a_feed_whose_connection_is_lost_waits_for_the_next_one(
    settings: Settings, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = _feed(settings, TenantDirectory(max_age_s=5), poll_s=3600)
    await feed.start()
    looks = 0
    catch_up = feed._catch_up

    async def lost_at_first(connection: Any) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            connection.terminate()
        await catch_up(connection)

    monkeypatch.setattr(feed, "_catch_up", lost_at_first)
    async with asyncio.timeout(30):
        await feed.caught_up()
    assert (feed.losses, looks) == (1, 2)
    await feed.close()


async def test_a_deleted_tenant_leaves_the_directory(
    directory: TenantDirectory, process: Process, writers: list[Any]
) -> None:
    tenant = await provisioned(process)
    await until(lambda: directory.by_slug(tenant.slug) is not None)
    async with writers[0].transaction():
        await writers[0].execute("UPDATE platform.tenants SET state = 'deleted' WHERE id = $1", tenant.id)
        await writers[0].execute(_CHANGE, new_id(), tenant.id)
    await until(lambda: directory.by_slug(tenant.slug) is None)
    assert directory.by_id(tenant.id) is None


async def test_a_lost_feed_forgets_whom_it_saw_active(process: Process, settings: Settings, acme: TenantRef) -> None:
    seen = principal(acme, acme.id)
    process.subjects.remember(acme.id, seen, epoch=process.subjects.epoch)
    assert process.subjects.knows(acme.id, seen)
    connection: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
    await connection.fetchval(_TERMINATE, APPLICATION_NAME)
    await connection.close()
    await until(lambda: not process.subjects.knows(acme.id, seen))
    await until(lambda: _is_fresh(process.directory))


async def test_a_feed_outlives_what_nobody_foresaw(
    directory: TenantDirectory, process: Process, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a state of tenants that only newer code knows: who stopped following would answer 503 for ever."""
    asked: list[object] = []
    await until(lambda: directory.by_id(acme.id) is not None)

    def unreadable(row: object) -> TenantRef:
        asked.append(row)
        raise ValueError("'archived' is not a valid TenantState")

    with monkeypatch.context() as patch:
        patch.setattr("leasehold.tenancy.feed.tenant_ref_of", unreadable)
        tenant = await process.provisioner.provision(slug=new_slug(), name="A tenant", by=OPERATOR)
        await until(lambda: len(asked) > 5)
        assert directory.by_id(acme.id) is not None
    await until(lambda: directory.by_id(tenant.id) is not None)


async def test_a_feed_outlives_the_end_of_its_backend_at_whatever_moment_that_comes(
    settings: Settings, process: Process, writers: list[Any], acme: TenantRef
) -> None:
    """The driver tells it in three ways, one of which is no error of a connection: it had not read the farewell yet."""
    directory = TenantDirectory(max_age_s=5)
    feed = _feed(settings, directory, poll_s=0.0005)
    await feed.start()
    async with asyncio.timeout(300):
        while feed.losses < 30:
            await feed.caught_up()
            await asyncio.sleep(feed.losses % 7 / 1000)
            await writers[0].fetchval(_TERMINATE, APPLICATION_NAME)
    await writers[0].execute(_SUSPEND, acme.id)
    async with writers[0].transaction():
        await writers[0].execute(_CHANGE, new_id(), acme.id)
    await until(lambda: _state(directory, acme) is TenantState.SUSPENDED)
    await feed.close()


async def test_a_feed_to_which_nothing_comes_any_more_is_given_up_and_another_made(
    settings: Settings, process: Process, writers: list[Any], acme: TenantRef
) -> None:
    """After two seconds, however much later the answer comes."""
    url = urlsplit(settings.database_url.get_secret_value())
    directory = TenantDirectory(max_age_s=5)
    async with wired(str(url.hostname), int(url.port or 5432)) as wire:
        through = url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{wire.port}").geturl()
        feed = _feed(settings.model_copy(update={"database_url": SecretStr(through)}), directory, poll_s=0.05)
        await feed.start()
        wire.delay_s = 120
        await writers[0].execute(_SUSPEND, acme.id)
        await until(lambda: feed.losses == 1)
        wire.delay_s = 0
        await until(lambda: _state(directory, acme) is TenantState.SUSPENDED)
        await feed.close()
    assert feed.losses == 1


def _state(directory: TenantDirectory, tenant: TenantRef) -> TenantState | None:
    found = directory.by_id(tenant.id)
    return found.state if found else None


def _is_fresh(directory: TenantDirectory) -> bool:
    directory.demand_fresh()
    return True


async def test_a_feed_closes_at_whatever_moment_it_is_told_to(settings: Settings) -> None:
    """A cancellation that is lost in the middle of a look would make the process hang at its end."""
    async with asyncio.timeout(300):
        for number in range(60):
            feed = _feed(settings, TenantDirectory(max_age_s=5), poll_s=0.001)
            await feed.start()
            await asyncio.sleep(number / 10_000)
            await feed.close()


async def test_a_feed_closes_though_its_connection_dies_as_it_is_told_to(
    settings: Settings, writers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the rollback takes the place of the cancellation, and after errors a feed goes on."""
    feed = _feed(settings, TenantDirectory(max_age_s=5), poll_s=0.001)
    catch_up, asked = feed._catch_up, asyncio.Event()

    async def die(connection: Any) -> None:
        if asked.is_set():
            return await catch_up(connection)
        async with connection.transaction():
            asked.set()
            try:
                await connection.execute("SELECT pg_sleep(60)")
            finally:
                await writers[0].execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())

    monkeypatch.setattr(feed, "_catch_up", die)
    await feed.start()
    async with asyncio.timeout(60):
        await asked.wait()
    closing = asyncio.create_task(feed.close())
    await asyncio.wait({closing}, timeout=50)
    assert (closing.done(), feed.losses) == (True, 1)


async def test_a_tenant_comes_with_what_its_revision_says_of_older_code(
    process: Process, directory: TenantDirectory
) -> None:
    tenant = await provisioned(process)
    await until(lambda: directory.by_id(tenant.id) is not None)
    found = directory.by_id(tenant.id)
    assert found is not None
    history = TenantHistory.load(process.settings.migrations_dir)
    assert (found.revision, found.served_by) == (history.head, history.served_by(history.head))
