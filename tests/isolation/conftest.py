"""Eight tenants with rows that name their owner, and pools of one and of several connections."""

from collections.abc import AsyncGenerator

import pytest

from leasehold.config import Settings
from leasehold.core.database import Database, DriverConnection, open_engine
from leasehold.process import Process
from leasehold.tenancy.bind import BindableConnection, prepare_engine
from leasehold.tenancy.context import TenantRef
from tests.factories import item, provisioned


@pytest.fixture(scope="session")
async def eight(process: Process) -> list[TenantRef]:
    """Eight tenants, each with an item whose title is its slug."""
    tenants = [await provisioned(process) for _ in range(8)]
    for tenant in tenants:
        await item(process, tenant, tenant.slug)
    return tenants


def open_pool(settings: Settings, size: int, connection_class: type[DriverConnection] = BindableConnection) -> Database:
    """Return a database with a pool of its own, whose hooks are not yet in place."""
    engine = open_engine(
        settings.database_url.get_secret_value(),
        pool_size=size,
        connection_class=connection_class,
        pool_timeout_s=30,
        prepared_statements=settings.prepared_statements,
    )
    return Database(engine, tenant_roles=True)


@pytest.fixture(scope="session", params=[1, 4], ids=["pool of one", "pool of four"])
async def pool(request: pytest.FixtureRequest, settings: Settings) -> AsyncGenerator[Database]:
    """A database with a small pool, so that requests really share connections."""
    database = open_pool(settings, request.param)
    prepare_engine(database.engine, max_tenants=3)
    await database.fill_pool()
    yield database
    await database.close()
