"""The processes of Leasehold, killed in the midst of what they do."""

import asyncio
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import httpx

from faults.client import token_of
from faults.fault import Fault
from faults.stage import Stage
from tests.faults.migrating import add_revision
from tests.fleets import HEAD
from tests.integration.cli.shell import PROJECT

_SEED = 11
_MAILED_WITHIN_S = 90
_MIGRATED_WITHIN_S = 300
_REVISION = "faults"
# Slow, so that the run is killed between tenants; it holds no lock that a request wants.
_UPGRADE = """
    op.execute("DO $$ BEGIN PERFORM pg_sleep(0.4); END $$")
    op.add_column("items", sa.Column("colour", sa.Text(), nullable=False, server_default="grey"))
"""


async def _kill_server(stage: Stage) -> None:
    for turn in range(round(stage.lasts(short_s=1, long_s=4))):
        victim = turn % len(stage.deployment.servers)
        stage.deployment.servers[victim].send(signal.SIGKILL, whole=True)
        await asyncio.sleep(0.3)
        await stage.deployment.balancer.until_ready(*stage.deployment.addresses)


@asynccontextmanager
async def _with_mails(_url: str, stage: Stage) -> AsyncGenerator[Mapping[str, str]]:
    (stage.folder / "mails").mkdir()
    yield {"LEASEHOLD_MAIL_DIR": str(stage.folder / "mails"), "LEASEHOLD_WORKER_JOBS": "2"}


async def _kill_workers(stage: Stage) -> None:
    """Let workers be killed one after the other while invitations are asked for, each of which is a job with a mail."""
    dice, ends = random.Random(_SEED), time.monotonic() + stage.lasts(short_s=5, long_s=30)
    promised: list[str] = []
    tenant = stage.installation.tenants[0]
    async with httpx.AsyncClient(base_url=stage.deployment.balancer.address, timeout=15) as client:
        client.headers["Authorization"] = f"Bearer {await token_of(client, tenant)}"
        while time.monotonic() < ends:
            for _ in range(5):
                email = f"user-{len(promised)}@example.com"
                made = await client.post("/v1/invitations", json={"email": email, "role": "member"})
                if made.status_code == 201:
                    promised.append(email)
                await asyncio.sleep(0.05)
            dice.choice(stage.deployment.workers).send(signal.SIGKILL)
            await asyncio.sleep(0.3)
    await _all_there(stage)
    stage.demands.append(lambda: _all_mailed(stage, promised))


async def _all_there(stage: Stage) -> None:
    """Wait until each worker has started: before, it ends by a signal as any program does."""
    connection = await stage.admin()
    try:
        async with asyncio.timeout(60):
            while True:
                there = {row["pid"] for row in await connection.fetch("SELECT pid FROM platform.job_workers")}
                if {one.pid for one in stage.deployment.workers} <= there:
                    return
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def _all_mailed(stage: Stage, promised: list[str]) -> str | None:
    began = time.monotonic()
    missing = set(promised)
    while missing and time.monotonic() < began + _MAILED_WITHIN_S:
        await asyncio.sleep(0.2)
        said = "".join(path.read_text() for path in (stage.folder / "mails").glob("*.eml"))
        missing = {email for email in missing if email not in said}
    stage.found.append(f"{len(promised)} jobs, the last was done {time.monotonic() - began:.0f} s after")
    return f"{len(missing)} of {len(promised)} jobs were not done" if missing or not promised else None


async def _kill_a_run(stage: Stage) -> None:
    """Migrate the fleet to one more revision, kill the runner between two tenants, and run it again to the end."""
    settings = stage.installation.settings
    history = stage.folder / "migrations"
    shutil.copytree(settings.migrations_dir, history, ignore=shutil.ignore_patterns("__pycache__"))
    settings = settings.model_copy(update={"migrations_dir": history})
    add_revision(settings, _REVISION, _UPGRADE, after=HEAD)
    killed = await _migrate(stage)
    try:
        async with asyncio.timeout(60):
            while not 0 < await _migrated(stage) < len(stage.installation.tenants):
                await asyncio.sleep(0.02)
    finally:
        killed.kill()
        stage.struck = int(await killed.wait() == -signal.SIGKILL)
    again = await _migrate(stage)
    try:
        async with asyncio.timeout(_MIGRATED_WITHIN_S):
            status = await again.wait()
    finally:
        if again.returncode is None:
            again.kill()
    stage.demands.append(lambda: _at_head(stage, status))


async def _migrate(stage: Stage) -> asyncio.subprocess.Process:
    with (stage.folder / "migrate.log").open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "leasehold", "migrate", "all", "--jobs", "1"),
            env={
                **{name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ},
                **stage.installation.environment,
                "LEASEHOLD_MIGRATIONS_DIR": str(stage.folder / "migrations"),
            },
            cwd=PROJECT,
            stdout=output,
            stderr=output,
        )


async def _migrated(stage: Stage) -> int:
    connection = await stage.admin()
    try:
        return await connection.fetchval("SELECT count(*) FROM platform.tenants WHERE revision = $1", _REVISION)
    finally:
        await connection.close()


async def _at_head(stage: Stage, status: int) -> str | None:
    there = await _migrated(stage)
    if status == 0 and there == len(stage.installation.tenants):
        return None
    said = (stage.folder / "migrate.log").read_text()[-300:]
    return f"the second run ended with {status} and {there} tenants at head: {said}"


FAULTS = (
    Fault(
        "server-killed",
        "Requests under way on it are cut off, and nobody is told a success that was none; the others go on.",
        _kill_server,
        is_in_short_form=True,
        shown_by="restarts",
    ),
    Fault(
        "workers-killed",
        "No request notices; every job that was asked for is done, by another worker or by the next.",
        _kill_workers,
        route=_with_mails,
        workers=2,
        shown_by="restarts",
        is_unnoticed=True,
    ),
    Fault(
        "migration-killed",
        "All tenants are served throughout; the next run does what is left.",
        _kill_a_run,
        shown_by="struck",
        is_unnoticed=True,
    ),
)
