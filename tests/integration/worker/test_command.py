"""`leasehold worker`: a process of its own, with probes, figures and a clean end; and the one inside `leasehold up`."""

import asyncio
import json
import signal
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from leasehold.cli.installation import local_installation
from leasehold.config import Settings
from leasehold.core.database import DriverConnection, driver_url, platform_session
from leasehold.mail.jobs import post
from leasehold.mail.message import Mail
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.enqueue import enqueue_for
from leasehold.workspace.clients.jobs import note_use
from leasehold.workspace.uses import LastUses
from tests.integration.cli.shell import Environment, Running, free_port, leasehold, members_of, refusal_of, running
from tests.integration.worker.crew import all_done, came_to

_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")
_MAIL = Mail(to="ada@acme.example", subject="Welcome", text="not for the log")
_SEND = """
SELECT platform.enqueue_job(NULL, gen_random_uuid(), 'mail.send',
                            '{"to": "ada@acme.example", "subject": "x", "text": "x"}', 0, 1, 0, NULL)
"""


@pytest.fixture
def env(settings: Settings, tmp_path: Path) -> Environment:
    """The settings of the database of the tests, for a process."""
    secrets = {f"LEASEHOLD_{name.upper()}": getattr(settings, name).get_secret_value() for name in _SECRETS}
    return {
        **secrets,
        "LEASEHOLD_WORKER_PORT": str(free_port()),
        "LEASEHOLD_MAIL_DIR": str(tmp_path / "mail"),
        "LEASEHOLD_WORKER_GRACE_S": "20",
        "LEASEHOLD_VACANCIES": "0",
    }


@pytest.fixture
def silent_server() -> Generator[int]:
    """The port of a mail server that accepts connections and says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield silent.getsockname()[1]


def _get(env: Environment, path: str) -> httpx.Response | None:
    try:
        return httpx.get(f"http://127.0.0.1:{env['LEASEHOLD_WORKER_PORT']}{path}", timeout=5)
    except httpx.TransportError:
        return None


def _tells(env: Environment, *lines: str) -> bool:
    answer = _get(env, "/metrics")
    return answer is not None and set(lines) <= set(answer.text.splitlines())


def _is_ready(env: Environment) -> bool:
    answer = _get(env, "/health/ready")
    return answer is not None and answer.status_code == 200


async def _ready(started: Running, env: Environment) -> None:
    await asyncio.to_thread(started.wait_for, lambda: _is_ready(env))


async def _post(process: Process, tenant: TenantRef) -> None:
    async with open_tenant_session(process.database, tenant) as session:
        await post(session, _MAIL)


async def test_it_runs_jobs_tells_how_it_is_and_ends_on_sigterm(
    process: Process, acme: TenantRef, owner: DriverConnection, env: Environment, tmp_path: Path
) -> None:
    with running("worker", env=env, folder=tmp_path) as started:
        await _ready(started, env)
        await _post(process, acme)
        await all_done(owner, "mail.send")
        # The queue hears of the end of a job before the worker counts it.
        counted = ('leasehold_jobs_ended_total{job="mail.send",outcome="succeeded"} 1.0', "leasehold_jobs_running 0.0")
        await asyncio.to_thread(started.wait_for, lambda: _tells(env, *counted))
        live, figures, other = (_get(env, path) for path in ("/health/live", "/metrics", "/v1/items"))
        assert live is not None
        assert (live.status_code, live.json()) == (200, {"status": "live"})
        assert figures is not None
        assert figures.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert acme.slug not in figures.text
        assert other is not None
        assert other.status_code == 404
        status = await asyncio.to_thread(started.end, signal.SIGTERM)
    assert status == 0, started.complained
    assert members_of(started.process.pid) == []
    assert [path.suffix for path in (tmp_path / "mail").iterdir()] == [".eml"]
    assert await owner.fetchval("SELECT count(*) FROM platform.job_workers") == 0
    ended = [line for line in map(json.loads, started.printed.splitlines()) if line["event"] == "job_ended"]
    assert [(line["job"], line["tenant"], line["outcome"]) for line in ended if line["job"] == "mail.send"] == [
        ("mail.send", str(acme.id), "succeeded")
    ]
    assert "not for the log" not in started.printed + started.complained
    assert "Traceback" not in started.printed + started.complained


async def test_it_counts_the_database_time_of_jobs_for_their_tenants(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection, env: Environment, tmp_path: Path
) -> None:
    # So that no task by the clock is done for it.
    await owner.execute("UPDATE platform.tenants SET state = 'suspended' WHERE id = $1", globex.id)
    async with platform_session(process.database) as session:
        await enqueue_for(session, acme.id, note_use, LastUses({}))
    with running("worker", env=env, folder=tmp_path) as started:
        await all_done(owner, note_use.name)
        assert await asyncio.to_thread(started.end, signal.SIGTERM) == 0, started.complained
    used = "SELECT requests, database_us FROM platform.tenant_usage WHERE tenant_id = $1"
    row = await owner.fetchrow(used, acme.id)
    assert row is not None
    assert row["requests"] == 0
    assert 0 < row["database_us"] < 10_000_000
    assert await owner.fetchrow(used, globex.id) is None


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_what_takes_longer_than_the_grace_is_handed_back(
    process: Process,
    acme: TenantRef,
    owner: DriverConnection,
    env: Environment,
    silent_server: int,
    tmp_path: Path,
    by: signal.Signals,
) -> None:
    slow = {**env, "LEASEHOLD_SMTP_URL": f"smtp://127.0.0.1:{silent_server}", "LEASEHOLD_WORKER_GRACE_S": "0.5"}
    await _post(process, acme)
    with running("worker", env=slow, folder=tmp_path) as started:
        await came_to(owner, "running", of=acme)
        status = await asyncio.to_thread(started.end, by, times=3)
    assert status == 0, started.complained
    (row,) = await came_to(owner, "ready", of=acme)
    assert (row["attempts"], row["error"]) == (0, None)
    assert await owner.fetchval("SELECT count(*) FROM platform.job_workers") == 0
    assert "Traceback" not in started.printed + started.complained


async def test_it_can_do_without_a_port(owner: DriverConnection, env: Environment, tmp_path: Path) -> None:
    with running("worker", "--port", "0", "--jobs", "2", env=env, folder=tmp_path) as started:
        await owner.execute(_SEND)
        await all_done(owner, "mail.send")
        assert _get(env, "/health/live") is None
        assert await asyncio.to_thread(started.end, signal.SIGTERM) == 0, started.complained


async def test_it_is_not_ready_while_the_queue_does_not_answer_and_lives_all_the_same(
    settings: Settings, owner: DriverConnection, env: Environment, tmp_path: Path
) -> None:
    """A lock on the table of the queue stands for whatever may keep the database from answering."""
    holder: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
    with running("worker", env=env, folder=tmp_path) as started:
        await _ready(started, env)
        await holder.execute("BEGIN; LOCK TABLE platform.jobs IN ACCESS EXCLUSIVE MODE")
        await asyncio.to_thread(started.wait_for, lambda: not _is_ready(env))
        answer, live = _get(env, "/health/ready"), _get(env, "/health/live")
        assert answer is not None
        assert (answer.status_code, answer.json()) == (503, {"status": "the queue does not answer"})
        assert live is not None
        assert live.status_code == 200
        await holder.execute("ROLLBACK")
        await _ready(started, env)
        assert await asyncio.to_thread(started.end, signal.SIGTERM) == 0, started.complained
    await holder.close()


def test_a_port_that_another_program_uses_is_named(env: Environment) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = leasehold("worker", "--port", str(port), env=env)
    assert refusal_of(refused) == f"Cannot listen on 127.0.0.1:{port}: another program does."


def test_a_database_that_does_not_answer_is_refused(env: Environment) -> None:
    away = {**env, "LEASEHOLD_DATABASE_URL": "postgresql://lh_app:hidden@127.0.0.1:1/leasehold"}
    refused = leasehold("worker", env=away)
    assert "database" in refusal_of(refused)
    assert "hidden" not in refused.stderr


async def test_up_runs_one_inside_that_keeps_mails_in_the_data_folder(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    arguments = ("up", "--no-demo", "--port", str(free_port()), "--data-dir", data_dir)
    with running(*arguments, env={}, folder=tmp_path) as started:
        await asyncio.to_thread(started.wait_for, lambda: "tenants create acme" in started.printed)
        settings = await asyncio.to_thread(_local_settings, data_dir)
        connection: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
        await connection.execute(_SEND)
        await all_done(connection, "mail.send")
        assert await connection.fetchval("SELECT count(*) FROM platform.jobs WHERE name = 'mail.send'") == 0
        assert await connection.fetchval("SELECT count(*) FROM platform.job_workers") == 1
        await connection.close()
        assert await asyncio.to_thread(started.end, signal.SIGTERM) == 0, started.complained
        assert members_of(started.process.pid) == []
    assert len(list((data_dir / "mail").glob("*.eml"))) == 1
    assert "Traceback" not in started.printed + started.complained


def _local_settings(data_dir: Path) -> Settings:
    with local_installation(data_dir) as settings:
        return settings
