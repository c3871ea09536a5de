"""The connection is lost in the ROLLBACK of what has failed: what had failed is told, and the pool is whole again."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.sqlstate import ReadOnly
from leasehold.main import build_process, running
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.postgres_proxy import Strike, proxy

pytestmark = pytest.mark.not_pooled("counts round trips, of which old poolers need more")


async def write_where_nothing_may_be_written(process: Process, tenant: TenantRef) -> None:
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(text("SET TRANSACTION READ ONLY"))
        await session.execute(text("DELETE FROM items"))


async def _hear_nothing(_backend: int) -> None:
    """Leave PostgreSQL to find out."""


async def test_a_rollback_that_fails_hides_nothing(settings: Settings, acme: TenantRef) -> None:
    parts = urlsplit(settings.database_url.get_secret_value())
    async with proxy(parts.hostname or "", parts.port or 5432) as traffic:
        through = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{traffic.port}").geturl()
        process = build_process(settings.model_copy(update={"database_url": SecretStr(through), "pool_size": 2}))
        async with running(process):
            for _ in range(2):
                traffic.reset()
                with pytest.raises(ReadOnly):
                    await write_where_nothing_may_be_written(process, acme)
            assert traffic.statements[-1] == "ROLLBACK;"
            strike = traffic.strike = Strike(traffic.round_trips, delivers=False, act=_hear_nothing)
            traffic.reset()
            with pytest.raises(ReadOnly):
                await write_where_nothing_may_be_written(process, acme)
            assert strike.is_done.is_set()
            async with open_tenant_session(process.database, acme) as session:
                assert await session.scalar(text("SELECT 1")) == 1
            pool: Any = process.database.engine.pool
            assert pool.checkedout() == 0
