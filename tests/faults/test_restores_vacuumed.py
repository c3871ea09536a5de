"""A restore makes autovacuum give way, which may take hours for a table of which much was deleted.

PostgreSQL cancels it for whoever waits for longer than `deadlock_timeout`. An attempt that ended before would never get
the tables, and the tenant would stay as it is until the vacuum has come to its end.
"""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.tenancy.restores.restoring import Restorer
from tests.archives import exported
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, new_slug, parts_of
from tests.faults.crashes import own_server
from tests.restores import put_back

_SLOWLY = """
ALTER TABLE "{0}".items SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,
                             autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);
INSERT INTO "{0}".items (id, title, created_at, updated_at)
SELECT gen_random_uuid(), repeat('x', 200), now(), now() FROM generate_series(1, 5000);
DELETE FROM "{0}".items
"""
_VACUUMED = """
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.relation = to_regclass($1) AND a.backend_type = 'autovacuum worker' AND l.mode = 'ShareUpdateExclusiveLock'
"""


@pytest.fixture
def own(tmp_path: Path) -> Generator[tuple[Settings, str]]:
    """An installation on a server that looks each second for what to vacuum, and the URL of an administrator."""
    with (
        own_server(tmp_path / "server", autovacuum_naptime="1s") as server,
        installed(server.admin_url, "leasehold_vacuumed") as settings,
    ):
        migrate(settings)
        yield settings, f"{driver_url(server.admin_url).rpartition('/')[0]}/leasehold_vacuumed"


async def test_autovacuum_that_is_at_work_on_a_table_gives_way(own: tuple[Settings, str], tmp_path: Path) -> None:
    settings, admin_url = own
    admin = await _connected(admin_url)
    async with parts_of(settings) as process:
        tenant = await process.provisioner.provision(slug=new_slug(), name="A tenant", by=OPERATOR)
        await exported(process, tenant.slug, tmp_path / "a.archive")
        await admin.execute(_SLOWLY.format(tenant.schema))
        async with asyncio.timeout(60):
            while not await admin.fetchval(_VACUUMED, f'"{tenant.schema}".items'):
                await asyncio.sleep(0.1)
        patient = Restorer(process.importer, process.owner, process.purger, tenant_roles=True, patience_s=8)
        done = await put_back(process, tmp_path / "a.archive", tenant.id, restorer=patient)
        assert done.id == tenant.id
    await admin.close()


async def _connected(url: str) -> Any:
    return await asyncpg.connect(url)
