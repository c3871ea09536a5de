"""The last who may change admins stays, in an installation where there are few."""

import asyncio
from collections.abc import AsyncGenerator, Generator

import pytest

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.platform.admins.models import Admin
from leasehold.platform.admins.schemas import AdminPatch
from leasehold.platform.admins.service import AdminService, LastAdmin
from leasehold.process import Process
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, new_slug, parts_of

WRITE = "platform:admins:write"


@pytest.fixture(scope="module")
def own(admin_url: str, worker_id: str) -> Generator[Settings]:
    """An installation without admins."""
    with installed(admin_url, f"leasehold_admins_{worker_id}_{new_slug()[2:]}") as made:
        migrate(made)
        yield made


@pytest.fixture
async def alone(own: Settings) -> AsyncGenerator[Process]:
    """A process of the installation, in which no former admin may act."""
    async with parts_of(own) as process:
        async with platform_session(process.database) as session:
            for admin in await AdminService(session, process.key).all():
                await session.merge(Admin(id=admin.id, is_active=False))
        yield process


async def create(process: Process, *scopes: str) -> Admin:
    async with platform_session(process.database) as session:
        return await AdminService(session, process.key).create(new_slug(), scopes=scopes, by=OPERATOR)


async def change(process: Process, admin: Admin, patch: AdminPatch) -> None:
    async with platform_session(process.database) as session:
        await AdminService(session, process.key).change(admin.id, patch, by=OPERATOR)


@pytest.mark.parametrize("patch", [AdminPatch(is_active=False), AdminPatch(scopes=["platform:admins:read"])])
async def test_the_last_who_may_change_admins_stays(alone: Process, patch: AdminPatch) -> None:
    last, _ = await create(alone, WRITE), await create(alone, "platform:admins:read")
    with pytest.raises(LastAdmin):
        await change(alone, last, patch)
    await create(alone, WRITE)
    await change(alone, last, patch)


async def test_two_who_disable_each_other_at_once_do_not_both_succeed(alone: Process) -> None:
    for _ in range(5):
        one, other = await create(alone, WRITE), await create(alone, WRITE)
        disable = AdminPatch(is_active=False)
        ended = await asyncio.gather(change(alone, one, disable), change(alone, other, disable), return_exceptions=True)
        assert sorted(type(error).__name__ for error in ended) == ["LastAdmin", "NoneType"]
        async with platform_session(alone.database) as session:
            left = [admin for admin in await AdminService(session, alone.key).all() if admin.is_active]
            assert len(left) == 1
            await session.merge(Admin(id=left[0].id, is_active=False))
