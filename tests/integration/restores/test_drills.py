"""A drill that stands still, wherever it is, keeps nobody waiting; killed, it leaves nothing."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import OPERATOR, item, lifecycle, provisioned
from tests.processes import outlived
from tests.restores import backed_up, command

pytestmark = pytest.mark.not_pooled("a command opens connections of its own")

_CATALOG = """
SELECT (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_class), (SELECT count(*) FROM platform.tenants),
       (SELECT count(*) FROM platform.registry_changes), (SELECT count(*) FROM platform.audit_events)
"""
_ON_IT = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'leasehold import'
"""
_STOPS = """
import os, signal, click
from leasehold.cli import main

tell = click.echo

def stop(message=None, **how):
    tell(message, **how)
    if str(message).startswith("{line}"):
        os.kill(os.getpid(), signal.SIGSTOP)

click.echo = stop
main()
"""
"""The command, which stops itself behind a line: so it does not matter who is faster."""


@pytest.mark.parametrize("line", ["loaded api_clients", "loaded items", "compared users", "compared refresh_tokens"])
async def test_a_drill_that_is_stopped_keeps_nobody_waiting_and_killed_leaves_nothing(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, tmp_path: Path, line: str
) -> None:
    await item(process, acme, "Desk")
    file = await backed_up(process, acme, tmp_path)
    drill = command(settings, tmp_path, "backup", "drill", acme.slug, does=_STOPS.format(line=line))
    with outlived(drill) as hanging:
        stopped = os.WSTOPPED | os.WEXITED | os.WNOWAIT
        async with asyncio.timeout(60):
            found = await asyncio.to_thread(os.waitid, os.P_PID, hanging.pid, stopped)
            assert found is not None
            assert found.si_status == signal.SIGSTOP
            assert await owner.fetchval(_ON_IT) == 1
            await item(process, acme, "Chair")
            await provisioned(process)  # for which roles are made and put into the group
            async with platform_session(process.database) as session:
                await lifecycle(session).suspend(acme.id, by=OPERATOR)
                await lifecycle(session).resume(acme.id, by=OPERATOR)
        before = await owner.fetchrow(_CATALOG)
    async with asyncio.timeout(60):
        while await owner.fetchval(_ON_IT):
            pass  # PostgreSQL notices within a moment that nobody is there any more
    assert await owner.fetchrow(_CATALOG) == before
    assert _files_in(tmp_path) == [file]


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
