"""The installation key is replaced while both are known: everything that it wraps or derives stays readable."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.database import driver_url, platform_session
from leasehold.core.errors import InvalidToken
from leasehold.core.ids import new_id
from leasehold.core.models import PlatformModel, TenantModel
from leasehold.core.vault import InstallationKey, UnwrapFailed
from leasehold.main import installation_key
from leasehold.platform.features import WRAPPED_OF_PLATFORM
from leasehold.platform.tokens.service import AdminTokenService
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.secrets import Rewrapping, rewrap_all
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.features import WRAPPED
from tests.factories import admin, provisioned
from tests.integration.keys.conftest import Start, started


@pytest.fixture
def former(own: Settings) -> str:
    return own.installation_key.get_secret_value()


@pytest.fixture
def new() -> str:
    return InstallationKey.generate()


@pytest.fixture
async def before(start: Start) -> AsyncGenerator[Process]:
    """A process that knows the former key alone."""
    async with start() as process:
        yield process


def replaced(own: Settings, *, new: str, former: str) -> Settings:
    changes = {"installation_key": SecretStr(new), "former_installation_key": SecretStr(former)}
    return own.model_copy(update=changes)


async def rewrapped(settings: Settings) -> Rewrapping:
    assert settings.owner_url is not None
    return await rewrap_all(
        settings.owner_url.get_secret_value(),
        installation_key(settings),
        WRAPPED,
        of_platform=WRAPPED_OF_PLATFORM,
        report=lambda _done, _total: None,
    )


async def peppers_of(settings: Settings, process: Process, *tenants: Any) -> list[bytes]:
    """Return the peppers as a process with these settings reads them."""
    found: list[bytes] = []
    for tenant in tenants:
        async with open_tenant_session(process.database, tenant) as session:
            found.append(await read_pepper(session, installation_key(settings), tenant))
    return found


async def test_all_secrets_are_wrapped_anew_and_stay_the_same(
    own: Settings, before: Process, new: str, former: str
) -> None:
    tenants = [await provisioned(before) for _ in range(3)]
    peppers = await peppers_of(own, before, *tenants)
    both = replaced(own, new=new, former=former)
    assert await peppers_of(both, before, *tenants) == peppers
    done = await rewrapped(both)
    assert (done.secrets, done.rewrapped, done.unreadable) == (4, 4, frozenset())
    alone = own.model_copy(update={"installation_key": SecretStr(new)})
    assert await peppers_of(alone, before, *tenants) == peppers
    with pytest.raises(UnwrapFailed):
        await peppers_of(own, before, *tenants)
    again = await rewrapped(both)
    assert (again.secrets, again.rewrapped) == (4, 0)
    async with started(alone) as after:
        token = before.tokens.issue(kind="client", subject=new_id(), tenant_id=tenants[0].id, scopes=frozenset())
        assert after.tokens.verify(token).tenant_id == tenants[0].id


async def test_a_run_reports_each_batch(own: Settings, before: Process, new: str, former: str) -> None:
    for _ in range(3):
        await provisioned(before)
    both = replaced(own, new=new, former=former)
    assert both.owner_url is not None
    told: list[tuple[int, int]] = []
    await rewrap_all(
        both.owner_url.get_secret_value(),
        installation_key(both),
        WRAPPED,
        of_platform=WRAPPED_OF_PLATFORM,
        report=lambda done, total: told.append((done, total)),
    )
    assert told == [(3, 3)]


async def test_two_at_once_do_the_work_once(own: Settings, before: Process, new: str, former: str) -> None:
    tenants = [await provisioned(before) for _ in range(3)]
    peppers = await peppers_of(own, before, *tenants)
    both = replaced(own, new=new, former=former)
    await asyncio.gather(*(rewrapped(both) for _ in range(3)))
    alone = own.model_copy(update={"installation_key": SecretStr(new)})
    assert await peppers_of(alone, before, *tenants) == peppers


async def test_a_tenant_that_neither_key_opens_is_named_and_holds_up_nobody(
    own: Settings, before: Process, new: str, former: str, owner: Any
) -> None:
    broken, whole = await provisioned(before), await provisioned(before)
    await owner.execute(f'UPDATE "{broken.schema}".tenant_secrets SET wrapped = $1', os.urandom(60))
    done = await rewrapped(replaced(own, new=new, former=former))
    assert done.unreadable == {broken.slug}
    assert (done.secrets, done.rewrapped) == (3, 2)
    assert await peppers_of(own.model_copy(update={"installation_key": SecretStr(new)}), before, whole)


async def test_what_a_process_with_the_next_key_wraps_is_read_by_one_with_the_former(
    own: Settings, before: Process, new: str, former: str
) -> None:
    """The roll from one to the other: both know both keys."""
    first = own.model_copy(update={"next_installation_key": SecretStr(new)})
    second = replaced(own, new=new, former=former)
    async with started(first) as old, started(second) as young:
        by_old, by_young = await provisioned(old), await provisioned(young)
        for settings in (first, second):
            assert len(await peppers_of(settings, before, by_old, by_young)) == 2
        with pytest.raises(UnwrapFailed):
            await peppers_of(own, before, by_young)
        scope = b"a list"
        for maker, reader in ((old, young), (young, old)):
            cursor = maker.cursors.encode(by_old.id, scope=scope)
            assert reader.cursors.decode(cursor, scope=scope) == by_old.id


async def test_an_admins_token_survives_if_it_is_used_while_both_keys_are_known(
    own: Settings, before: Process, new: str, former: str
) -> None:
    async def issued(name: str) -> str:
        headers = await admin(before, "platform:tenants:read", name=name)
        return headers["Authorization"].removeprefix("Bearer ")

    async def authenticated(token: str, settings: Settings) -> None:
        async with platform_session(before.database) as session:
            await AdminTokenService(session, installation_key(settings)).authenticate(token)

    used, unused = await issued("used"), await issued("unused")
    both = replaced(own, new=new, former=former)
    alone = own.model_copy(update={"installation_key": SecretStr(new)})
    await authenticated(used, both)
    await authenticated(used, alone)
    with pytest.raises(InvalidToken):
        await authenticated(unused, alone)


def test_every_wrapped_column_is_one_that_the_rotation_knows() -> None:
    """A wrapped column that is not named in `WRAPPED` would be lost with the former installation key."""
    columns = {
        (table.name, column.name)
        for metadata in (TenantModel.metadata, PlatformModel.metadata)
        for table in metadata.tables.values()
        for column in table.columns
        if "wrapped" in column.name
    }
    assert columns == {(known.table, known.column) for known in (*WRAPPED, *WRAPPED_OF_PLATFORM)}


async def test_the_login_of_the_app_cannot_change_a_tenants_secrets(before: Process) -> None:
    tenant = await provisioned(before)
    with pytest.raises(Exception, match="permission denied"):
        async with open_tenant_session(before.database, tenant) as session:
            await session.execute(text("UPDATE tenant_secrets SET wrapped = ''"))


class InterruptedKey(InstallationKey):
    """An installation key during whose work somebody else replaces a tenant's secret."""

    interrupt: Callable[[], object]

    def rewrap(self, wrapped: bytes, *, purpose: str) -> bytes | None:
        if purpose.endswith("pepper"):
            self.interrupt()
        return super().rewrap(wrapped, purpose=purpose)


async def test_a_secret_that_was_replaced_in_the_meantime_is_left_alone(
    own: Settings, before: Process, new: str, former: str
) -> None:
    tenant = await provisioned(before)
    assert own.owner_url is not None
    url = own.owner_url.get_secret_value()
    other = InstallationKey(new).wrap(b"another pepper", purpose=f"tenant {tenant.id} pepper")

    def replace_it() -> None:
        with psycopg.connect(driver_url(url)) as connection:
            connection.execute(f'UPDATE "{tenant.schema}".tenant_secrets SET wrapped = %s'.encode(), [other])

    key = InterruptedKey(new, others=[former])
    key.interrupt = replace_it
    await rewrap_all(url, key, WRAPPED, of_platform=WRAPPED_OF_PLATFORM, report=lambda _done, _total: None)
    alone = own.model_copy(update={"installation_key": SecretStr(new)})
    assert await peppers_of(alone, before, tenant) == [b"another pepper"]
