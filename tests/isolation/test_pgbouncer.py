"""The same interleavings through PgBouncer in transaction mode, where all clients share one server connection."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
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
from tests.factories import bearer, provisioned
from tests.integration.worker.crew import Title, ask, at_work
from tests.isolation.scenario import ACTS, TITLES, Request, play

PGBOUNCER = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed on this machine")

# What cannot work on one shared server connection: sleeping in it is a matter of waiting, not of isolation.
SCRIPT: list[Request] = [
    request
    for round_ in range(3)
    for number, act in enumerate(sorted(set(ACTS) - {"be_cancelled"}))
    for request in (((number + round_) % 8, [act, "read"]), (number % 5, ["write"]), (-1, ["read"]))
]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _configure(folder: Path, settings: Settings, port: int) -> Path:
    parts = urlsplit(settings.database_url.get_secret_value())
    users = folder / "users.txt"
    users.write_text(f'"{parts.username}" "{parts.password}"\n')
    file = folder / "pgbouncer.ini"
    file.write_text(
        "[databases]\n"
        f"* = host={parts.hostname} port={parts.port}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {users}\n"
        "pool_mode = transaction\ndefault_pool_size = 1\nmax_client_conn = 100\n"
        f"logfile = {folder / 'pgbouncer.log'}\n"
    )
    return file


@pytest.fixture
def bouncer(settings: Settings) -> Generator[int]:
    """A PgBouncer with one server connection; yields its port."""
    assert PGBOUNCER is not None
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = _configure(Path(folder), settings, port)
        user = None
        if os.getuid() == 0:  # it refuses to run as root
            account = pwd.getpwnam("nobody")
            user = account.pw_uid
            for path in (Path(folder), *Path(folder).iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        process = subprocess.Popen([PGBOUNCER, "-q", str(file)], user=user, cwd="/")
        try:
            yield port
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture
async def pooled(settings: Settings, bouncer: int) -> AsyncGenerator[Database]:
    """A database of several client connections behind that PgBouncer."""
    engine = open_engine(
        _through(settings, bouncer),
        pool_size=6,
        prepared_statements=False,
        connection_class=BindableConnection,
        pool_timeout_s=20,
    )
    database = Database(prepare_engine(engine, max_tenants=500), tenant_roles=True)
    async with asyncio.timeout(10):
        while not await _listens(bouncer):
            await asyncio.sleep(0.05)
    await database.fill_pool()
    yield database
    await database.close()


def _through(settings: Settings, port: int) -> str:
    parts = urlsplit(settings.database_url.get_secret_value())
    return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()


def _behind(settings: Settings, port: int) -> Settings:
    through = SecretStr(_through(settings, port))
    return settings.model_copy(update={"database_url": through, "direct_url": None, "prepared_statements": False})


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_no_tenant_is_seen_through_a_shared_server_connection(pooled: Database, eight: list[TenantRef]) -> None:
    assert await play(pooled, eight, SCRIPT) == []


async def test_a_worker_runs_the_jobs_of_all_tenants_through_a_shared_server_connection(
    settings: Settings, process: Process, pooled: Database, bouncer: int
) -> None:
    tenants = [await provisioned(process) for _ in range(4)]

    @tenant_job("tests.make")
    async def make(arguments: Title, session: TenantSession, tenant: TenantRef) -> None:
        await ItemService(session=session).add(ItemCreate(f"{arguments.title} of {tenant.slug}"))

    behind = _behind(settings, bouncer)
    names = [f"job {number}" for number in range(5)]
    worker = build_process(behind, budget=worker_budget(jobs=4))
    async with running(worker), at_work(worker, make, places=4) as at:
        for tenant in tenants:
            await ask(worker, tenant, make, *names)
        async with asyncio.timeout(30):
            while at.count(make, "succeeded") < len(tenants) * len(names):
                await asyncio.sleep(0.02)
    for tenant in tenants:
        async with open_tenant_session(pooled, tenant) as session:
            made = sorted(await session.scalars(TITLES))
        assert made == [f"{name} of {tenant.slug}" for name in names]


async def test_keys_of_two_tenants_do_not_meet_on_a_shared_server_connection(
    settings: Settings, process: Process, pooled: Database, bouncer: int
) -> None:
    tenants = [await provisioned(process) for _ in range(2)]
    headers = [{**await bearer(process, tenant), "Idempotency-Key": "shared"} for tenant in tenants]
    app = create_app(_behind(settings, bouncer))
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


async def test_quotas_are_counted_through_a_pooler(settings: Settings, pooled: Database, bouncer: int) -> None:
    """Each store asks over whatever server connection it is given, which has seen another's statements before."""
    limits = Limits(Policy("client", (Window(25, 86_400),)))
    stores = [PostgresQuotas(_through(settings, bouncer), timeout_s=20, prepared_statements=False) for _ in range(3)]

    async def taken(store: PostgresQuotas, key: str) -> int:
        answers = [await store.take([Asked(limits, (key,)), Asked(limits, (key,))]) for _ in range(10)]
        return sum(granted for answer in answers for granted, _ in answer)

    assert sum(await asyncio.gather(*(taken(store, f"pooled {bouncer}") for store in stores))) == 25
    for store in stores:
        await store.close()
