"""A role that was granted just now can be taken at once, whatever PostgreSQL remembers of older memberships."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from itertools import count
from typing import Any

import asyncpg
import pytest
from msgspec import Struct
from sqlalchemy import literal_column, select, text

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.reads import Read
from leasehold.tenancy.bind import ReaderPool, open_tenant_session, prepare_engine, tenant_reader
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.names import APP_ROLE
from tests.isolation.conftest import open_pool

GRANTS = 150
TAKEN = 50
"""So many of the roles are to be taken at least, however busy the machine is."""


class Role(Struct):
    name: str


ROLE = Read(select(literal_column("current_user::text").label("name")), Role)


class Granting:
    """Three connections of the owner that grant the app role after role, as fast as they can.

    After that they go on, slowly, until enough roles have been taken: with one server connection for all requests, or
    with much else to do, grants are faster than requests.
    """

    def __init__(self, url: str, worker: str) -> None:
        self.roles: list[str] = []
        self.taken: set[str] = set()
        self._url = url
        self._worker = worker

    async def run(self) -> None:
        await asyncio.gather(*(self._grant(number) for number in range(3)))

    async def _grant(self, number: int) -> None:
        owner: Any = await asyncpg.connect(self._url)
        for turn in count():
            if turn >= GRANTS:
                if len(self.taken) > TAKEN:
                    break
                await asyncio.sleep(0.02)
            role = f"lh_t_just_granted_{self._worker}_{number}_{turn}"
            await owner.execute(f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE")
            self.roles.append(role)
        await owner.close()


@pytest.fixture
async def granting(settings: Settings, worker_id: str) -> AsyncGenerator[Granting]:
    """Grants that the test runs beside its requests; all roles are dropped at the end."""
    assert settings.owner_url is not None
    url = driver_url(settings.owner_url.get_secret_value())
    made = Granting(url, worker_id)
    yield made
    owner: Any = await asyncpg.connect(url)
    await owner.execute("".join(f"DROP ROLE {role};" for role in made.roles))
    await owner.close()


async def test_a_tenant_is_served_while_others_are_provisioned(
    settings: Settings, eight: list[TenantRef], granting: Granting
) -> None:
    pool = ReaderPool(
        settings.database_url.get_secret_value(),
        size=3,
        sub_pools=1,
        max_tenants=500,
        timeout_s=10,
        prepared_statements=settings.prepared_statements,
        tenant_roles=True,
    )
    database = open_pool(settings, 3)
    prepare_engine(database.engine, max_tenants=500)
    grants = asyncio.create_task(granting.run())
    refused: list[Exception] = []

    async def read(tenant: TenantRef) -> None:
        role = await tenant_reader(pool, tenant).one(ROLE)
        assert role is not None
        granting.taken.add(role.name)

    async def write(tenant: TenantRef) -> None:
        async with open_tenant_session(database, tenant) as session:
            granting.taken.add(await session.scalar(text("SELECT current_user")) or "")

    async def request(kind: Any) -> None:
        while not grants.done():
            if granting.roles:
                newest = dataclasses.replace(eight[0], role=granting.roles[-1])
                try:
                    await kind(newest)
                except Exception as error:
                    refused.append(error)
            await asyncio.sleep(0)

    await asyncio.gather(*(request(kind) for kind in (read, read, read, write, write, write)))
    await grants
    await pool.close()
    await database.close()
    assert refused == []
    assert len(granting.taken & set(granting.roles)) > TAKEN
