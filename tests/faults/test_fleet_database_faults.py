"""What the database does to a run: connections that are ended, a server that restarts or crashes, a disk that is full.

The run goes on or ends with a sentence; either way registry, schemas and ledger agree, and the next run does the rest.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from leasehold.embedded import EmbeddedPostgres
from leasehold.embedded.account import account_for, run_in
from leasehold.embedded.binaries import find_binaries, readable_by_all
from leasehold.embedded.home import Home
from leasehold.embedded.locks import FileLock
from leasehold.tenancy.names import quoted
from tests.faults.agreement import (
    backends,
    demand_agreement,
    demand_head,
    demand_whole_schemas,
    eventually,
    gone,
    lease_of,
    members,
    quiet,
    waiting,
)
from tests.faults.migrating import FIRST, HEAD, Ended, Fleet, Run, installed_fleet
from tests.processes import server_pid

# What is said to be committed must survive the end of the server; not that of the machine.
_PARAMETERS = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}
LARGEST_FILE = 24 * 1024 * 1024
"""More than a file of the write-ahead log, 16 MB, and less than the large table, 40 MB."""
REWRITE = """
    default = sa.text("gen_random_uuid()")
    op.add_column("api_clients", sa.Column("handle", sa.Uuid(), nullable=False, server_default=default))
"""
FILL = """
INSERT INTO {schema}.api_clients (id, name, secret_digest, scopes, created_at, updated_at)
SELECT gen_random_uuid(), repeat('x', 1900), '', '{{}}', now(), now() FROM generate_series(1, 20000)
"""
_HAS_BEGUN = "SELECT count(*) FROM platform.fleet_runs WHERE pid = $1"
_LOCK_VERSION = "SELECT FROM {schema}.alembic_version FOR UPDATE"
_STUCK_AT = """
SELECT pid FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1
"""


@pytest.fixture
def fleet(request: pytest.FixtureRequest, admin_url: str, tmp_path: Path) -> Generator[Fleet]:
    with installed_fleet(admin_url, tmp_path, tenants=getattr(request, "param", 8)) as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The data folder of a server that these tests have for themselves."""
    return Home(tmp_path_factory.mktemp("server"), major=18)


@pytest.fixture(scope="module")
def own_server(home: Home) -> Generator[str]:
    with EmbeddedPostgres(home.folder, parameters=_PARAMETERS) as url:
        yield url


@pytest.fixture
def own_fleet(request: pytest.FixtureRequest, own_server: str, tmp_path: Path) -> Generator[Fleet]:
    with installed_fleet(own_server, tmp_path, tenants=getattr(request, "param", 8)) as made:
        yield made


@pytest.mark.parametrize("fleet", [40], indirect=True)
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_run_whose_connections_are_ended_at_random_goes_on(fleet: Fleet, seed: int) -> None:
    dice = random.Random(seed)
    async with fleet.connected() as owner:
        async with fleet.migrating("--attempts=15") as run:
            await eventually(partial(owner.fetchval, _HAS_BEGUN, run.pid))
            while not run.has_ended:
                if there := await backends(owner):
                    await owner.execute("SELECT pg_terminate_backend($1)", dice.choice(there))
                    await demand_agreement(owner)
                await asyncio.sleep(dice.uniform(0, 0.4))
            ended = await run.end()
        assert ended.status == 0, ended.all_said
        await _demand_that_the_next_run_does_the_rest(fleet, owner, ended)


async def test_runs_whose_connections_are_ended_while_they_begin_say_so_in_a_sentence(fleet: Fleet) -> None:
    dice = random.Random(1)
    async with fleet.connected() as owner:
        for _ in range(4):
            async with fleet.migrating() as run:
                there: list[int] = []
                while not there and not run.has_ended:
                    await asyncio.sleep(0.005)
                    there = await backends(owner)
                await asyncio.sleep(dice.uniform(0, 0.1))
                for pid in await backends(owner):
                    await owner.execute("SELECT pg_terminate_backend($1)", pid)
                ended = await run.end()
                ended.demand_words()
                await demand_agreement(owner)
        await _demand_that_the_next_run_does_the_rest(fleet, owner, ended)


@pytest.mark.parametrize(
    ("blocker", "statement"),
    [("LOCK TABLE {schema}.items IN SHARE MODE", "items"), (_LOCK_VERSION, "demand_revision")],
)
async def test_a_tenant_whose_live_revision_has_lost_its_connection_is_tried_again(
    fleet: Fleet, blocker: str, statement: str
) -> None:
    await fleet.bring_to("0003")
    await fleet.bring_reference_to_head()
    async with fleet.connected() as owner, fleet.migrating("--lock-timeout=30") as run:
        schema = quoted((await members(owner))[3].target.schema)
        async with fleet.transaction(blocker.format(schema=schema)):
            (stuck,) = await waiting(owner, statement)
            await owner.execute("SELECT pg_terminate_backend($1)", stuck)
            await gone(owner, stuck)
        ended = await run.end()
        assert ended.status == 0, ended.all_said
        await demand_head(fleet, owner)


async def test_a_run_whose_lease_has_lost_its_connection_keeps_it(fleet: Fleet) -> None:
    async with fleet.connected() as owner, fleet.migrating("--lock-timeout=30", lease_s=3) as run:
        async with fleet.locked((await members(owner))[3].items):
            first = await lease_of(owner, run)
            await waiting(owner)
            await owner.execute("SELECT pg_terminate_backend($1::bigint::int)", first["backend_pid"])

            async def is_kept() -> bool:
                return (await lease_of(owner, run))["backend_pid"] != first["backend_pid"]

            await eventually(is_kept)
        ended = await run.end()
        assert ended.status == 0, ended.all_said
        await demand_head(fleet, owner)


@pytest.mark.parametrize("table", ["platform.tenants", "tenant_reference.items"])
async def test_a_connection_that_is_ended_before_the_first_tenant_is_one_sentence(fleet: Fleet, table: str) -> None:
    async with fleet.connected() as owner, fleet.migrating() as run:
        async with fleet.locked(table):
            (stuck,) = await eventually(partial(owner.fetch, _STUCK_AT, f"%{table.rpartition('.')[2]}%"))
            await owner.execute("SELECT pg_terminate_backend($1)", stuck["pid"])
            assert (await run.end()).sentence
        assert (await fleet.migrated()).status == 0
        await demand_head(fleet, owner)


@pytest.mark.parametrize("own_fleet", [40], indirect=True)
@pytest.mark.parametrize("fault", ["restart", "crash"])
async def test_a_run_outlives_that_the_database_goes_away_and_comes_back(
    own_fleet: Fleet, home: Home, fault: str
) -> None:
    async with own_fleet.migrating("--wave=15") as run:
        for done in (5, 20, 35):
            async with own_fleet.connected() as owner:
                await eventually(partial(_is_done, owner, run, done))
                if fault == "restart":
                    await asyncio.to_thread(_restart, home)
                else:
                    await _crash(owner)
                await eventually(partial(_is_lost, owner))
            await eventually(partial(_answers, own_fleet))
            async with own_fleet.connected() as owner:
                await demand_agreement(owner)
        ended = await run.end()
    assert ended.status == 0, ended.all_said
    async with own_fleet.connected() as owner:
        await _demand_that_the_next_run_does_the_rest(own_fleet, owner, ended)


@pytest.mark.skipif(
    shutil.which("prlimit") is None, reason="needs prlimit (util-linux), by which the disk is made to refuse"
)
async def test_a_tenant_whose_table_the_disk_refuses_keeps_its_revision_and_follows_in_the_next_run(
    own_fleet: Fleet, home: Home
) -> None:
    await own_fleet.bring_to(HEAD)
    await own_fleet.add("0007", REWRITE, after=HEAD)
    async with own_fleet.connected() as owner:
        large = (await members(owner))[2]
        await owner.execute(FILL.format(schema=quoted(large.target.schema)))
        with _disk_that_refuses_large_files(home):
            ended = await own_fleet.migrated()
        assert ended.status == 1, ended.all_said
        (refused,) = await owner.fetch("SELECT tenant_id, error FROM platform.fleet_results WHERE error IS NOT NULL")
        assert refused["tenant_id"] == large.id
        assert "File too large" in refused["error"]
        assert large.slug in ended.output
        await demand_agreement(owner)
        await demand_whole_schemas(own_fleet, owner)
        assert {each.id for each in await members(owner) if each.revision != "0007"} == {large.id}
        again = await own_fleet.migrated()
        assert again.status == 0, again.all_said
        await demand_head(own_fleet, owner, head="0007")
        last = "SELECT tenant_id FROM platform.fleet_results ORDER BY id DESC LIMIT 1"
        assert await owner.fetchval(last) == large.id


async def test_a_server_that_has_no_connection_left_is_one_sentence(own_fleet: Fleet, own_server: str) -> None:
    with psycopg.connect(own_server, autocommit=True) as admin:
        admin.execute("ALTER ROLE lh_owner CONNECTION LIMIT 0")
        try:
            refused = await own_fleet.migrated()
        finally:
            admin.execute("ALTER ROLE lh_owner CONNECTION LIMIT -1")
    assert "too many connections" in refused.sentence


async def _crash(owner: Any) -> None:
    """Kill a backend, of the run if it has one: all others end by that too."""
    for pid in (*await backends(owner), await owner.fetchval("SELECT pg_backend_pid()")):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return


def _restart(home: Home) -> None:
    """End the server as if its machine had lost its power, and start it again on the same port."""
    os.kill(server_pid(home.folder), signal.SIGQUIT)
    with FileLock(home.running_lock) as running, home.log.open("ab") as log:
        assert running.wait_exclusive(timeout_s=60)
        account = account_for(home.cluster)
        binaries = find_binaries(home.major)
        program = (readable_by_all(binaries) if account else binaries).program("pg_ctl")
        command = [program, "restart", "--silent", "--wait"]
        assert run_in(home.cluster, command, account=account, output=log, keep=[running.descriptor]) == 0


@contextmanager
def _disk_that_refuses_large_files(home: Home) -> Generator[None]:
    """Let new processes of the server write no large file: the kernel refuses that as it would on a full disk."""
    _limit_files(home, str(LARGEST_FILE))
    try:
        yield
    finally:
        _limit_files(home, "unlimited")


def _limit_files(home: Home, size: str) -> None:
    account = account_for(home.cluster)  # for it may change this, and root in a container may not
    as_account: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    command = ["prlimit", f"--pid={server_pid(home.folder)}", f"--fsize={size}:"]
    subprocess.run(command, check=True, **as_account)


async def _is_done(owner: Any, run: Run, tenants: int) -> bool:
    """Tell whether so many tenants have made their first step, or the run has ended."""
    sql = "SELECT count(*) FROM platform.tenants WHERE revision > $1"
    return run.has_ended or await owner.fetchval(sql, FIRST) >= tenants


async def _is_lost(owner: Any) -> bool:
    """Tell whether the server has let a connection down."""
    try:
        await owner.execute("SELECT 1")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return True
    return False


async def _demand_that_the_next_run_does_the_rest(fleet: Fleet, owner: Any, ended: Ended) -> None:
    ended.demand_words()
    await quiet(owner)
    await demand_agreement(owner)
    await demand_whole_schemas(fleet, owner)
    left = [tenant for tenant in await members(owner) if tenant.revision != HEAD]
    assert ended.status != 0 or not left, ended.all_said
    again = await fleet.migrated()
    assert again.status == 0, again.all_said
    await demand_head(fleet, owner)


async def _answers(fleet: Fleet) -> bool:
    try:
        async with fleet.connected():
            return True
    except (OSError, asyncpg.PostgresError):
        return False
