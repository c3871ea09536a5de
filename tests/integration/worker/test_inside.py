"""The small worker inside a server, with the jobs that the product has."""

import asyncio
import dataclasses
import email
from email import policy
from pathlib import Path

import pytest

from leasehold.core.database import DriverConnection, platform_session
from leasehold.mail.jobs import post
from leasehold.mail.message import Mail
from leasehold.main import create_app
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.worker.running import worker_inside
from tests.factories import until
from tests.integration.worker.crew import all_done
from tests.integration.worker.line import line_to

_MAIL = Mail(to="ada@acme.example", subject="Welcome", text="It is good to have you here.")


def _mails_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.eml"))


@pytest.fixture
def keeping(process: Process, tmp_path: Path) -> Process:
    """A process that keeps mails in a folder."""
    settings = process.settings.model_copy(update={"mail_dir": tmp_path / "mail", "job_poll_s": 0.1})
    return dataclasses.replace(process, settings=settings)


async def _post_and_fail(process: Process, tenant: TenantRef) -> None:
    async with open_tenant_session(process.database, tenant) as session:
        await post(session, _MAIL)
        raise LookupError


async def test_mails_of_tenants_and_of_the_platform_are_sent_and_none_of_what_was_rolled_back(
    keeping: Process, acme: TenantRef, owner: DriverConnection, tmp_path: Path
) -> None:
    async with worker_inside(keeping):
        async with open_tenant_session(keeping.database, acme) as session:
            await post(session, _MAIL)
        async with platform_session(keeping.database) as session:
            await post(session, _MAIL)
        with pytest.raises(LookupError):
            await _post_and_fail(keeping, acme)
        await all_done(owner, "mail.send")
    files = _mails_in(tmp_path / "mail")
    assert len(files) == 2
    kept = email.message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert (kept["To"], kept["Message-ID"]) == (_MAIL.to, f"<{files[0].stem}@localhost>")


async def test_it_leaves_the_queue_when_the_server_ends(keeping: Process, owner: DriverConnection) -> None:
    workers = "SELECT count(*) FROM platform.job_workers"
    async with worker_inside(keeping), asyncio.timeout(30):
        while await owner.fetchval(workers) != 1:
            await asyncio.sleep(0.02)
    assert await owner.fetchval(workers) == 0


async def test_the_application_runs_one_where_it_is_told_to(
    keeping: Process, acme: TenantRef, owner: DriverConnection, tmp_path: Path
) -> None:
    async with open_tenant_session(keeping.database, acme) as session:
        await post(session, _MAIL)
    async with create_app(keeping.settings).app.lifespan():
        assert await owner.fetchval("SELECT count(*) FROM platform.job_workers") == 0
        await asyncio.sleep(0.5)
        assert _mails_in(tmp_path / "mail") == []
    told_to = keeping.settings.model_copy(update={"worker_inside": True})
    async with create_app(told_to).app.lifespan():
        await all_done(owner, "mail.send")
    assert len(_mails_in(tmp_path / "mail")) == 1


async def test_the_server_ends_though_the_queue_is_away(keeping: Process, owner: DriverConnection) -> None:
    async with asyncio.timeout(30), line_to(keeping.settings) as line:
        settings = line.settings.model_copy(update={"worker_grace_s": 0.5})
        async with worker_inside(dataclasses.replace(keeping, settings=settings)):
            await until(lambda: len(line.writers) > 0, timeout_s=10)
            line.cut()
