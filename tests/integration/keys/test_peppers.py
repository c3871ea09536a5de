"""A tenant gets a new pepper: what was stored by the former one stays valid."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from leasehold.config import Settings
from leasehold.core.credentials import new_secret, secret_digest
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.secrets import FoundSecret, OwnedTenant, change_secrets, owned_tenants
from leasehold.workspace.auth.identity import Identity
from leasehold.workspace.auth.pepper import TENANT_SECRETS, next_pepper_sql, read_pepper, read_peppers
from leasehold.workspace.clients.models import ApiClient
from leasehold.workspace.clients.repository import ApiClientRepository
from leasehold.workspace.clients.schemas import NewApiClient
from leasehold.workspace.clients.service import SECRET_KIND
from leasehold.workspace.oauth.service import Credentials, OAuthService
from tests.factories import OPERATOR, api_client, provisioned
from tests.integration.keys.conftest import Start


@pytest.fixture
async def process(start: Start) -> AsyncGenerator[Process]:
    async with start() as made:
        yield made


async def rotated(own: Settings, process: Process, slug: str | None = None, *, age: timedelta = timedelta()) -> None:
    assert own.owner_url is not None
    url = own.owner_url.get_secret_value()

    def change(tenant: OwnedTenant, secrets: list[FoundSecret]) -> list[str]:
        return next_pepper_sql(process.key, tenant, secrets, unless_younger_than=age)

    await change_secrets(url, await owned_tenants(url, slug=slug), [TENANT_SECRETS], change)


async def peppers_of(process: Process, tenant: TenantRef) -> tuple[bytes, ...]:
    async with open_tenant_session(process.database, tenant) as session:
        return await read_peppers(session, process.key, tenant)


async def stored(process: Process, tenant: TenantRef, client: NewApiClient) -> ApiClient:
    async with open_tenant_session(process.database, tenant) as session:
        return await ApiClientRepository(session=session).get(client.client_id)


async def is_let_in(process: Process, tenant: TenantRef, client: NewApiClient, secret: str | None = None) -> bool:
    identity = Identity(
        tenant=tenant,
        open_session=partial(open_tenant_session, process.database, tenant),
        tokens=process.tokens,
        passwords=process.passwords,
        key=process.key,
        lifetimes=process.lifetimes,
        by=OPERATOR,
    )
    given = Credentials(str(client.client_id), secret or client.client_secret)
    return await OAuthService(identity).authenticate(given) is not None


async def test_the_newest_pepper_stores_and_all_verify(own: Settings, process: Process) -> None:
    tenant, other = await provisioned(process), await provisioned(process)
    (first,) = await peppers_of(process, tenant)
    await rotated(own, process, tenant.slug)
    await rotated(own, process, tenant.slug)
    found = await peppers_of(process, tenant)
    assert len(set(found)) == 3
    assert found[2] == first
    async with open_tenant_session(process.database, tenant) as session:
        assert await read_pepper(session, process.key, tenant) == found[0]
    assert len(await peppers_of(process, other)) == 1


async def test_the_tenth_pepper_is_newer_than_the_ninth(own: Settings, process: Process) -> None:
    tenant = await provisioned(process)
    newest: list[bytes] = []
    for _ in range(10):
        await rotated(own, process, tenant.slug)
        newest.append((await peppers_of(process, tenant))[0])
    assert len(set(newest)) == 10
    assert (await peppers_of(process, tenant))[:10] == tuple(reversed(newest))


async def test_a_client_is_let_in_as_before_and_its_secret_is_stored_anew(own: Settings, process: Process) -> None:
    tenant = await provisioned(process)
    client = await api_client(process, tenant, "items:read")
    before = await stored(process, tenant, client)
    await rotated(own, process, tenant.slug)
    assert not await is_let_in(process, tenant, client, new_secret(SECRET_KIND, tenant_id=tenant.id))
    assert (await stored(process, tenant, client)).secret_digest == before.secret_digest
    assert await is_let_in(process, tenant, client)
    after = await stored(process, tenant, client)
    newest = (await peppers_of(process, tenant))[0]
    assert after.secret_digest == secret_digest(client.client_secret, pepper=newest)
    assert after.updated_at == before.updated_at
    assert await is_let_in(process, tenant, client)
    for _ in range(2):
        await rotated(own, process, tenant.slug)
    assert await is_let_in(process, tenant, client)


async def test_many_logins_at_once_after_a_rotation_are_all_let_in(own: Settings, process: Process) -> None:
    tenant = await provisioned(process)
    client = await api_client(process, tenant)
    await rotated(own, process, tenant.slug)
    assert all(await asyncio.gather(*(is_let_in(process, tenant, client) for _ in range(20))))


async def test_a_secret_that_was_replaced_in_the_meantime_is_not_brought_back(own: Settings, process: Process) -> None:
    tenant = await provisioned(process)
    client = await api_client(process, tenant)
    async with open_tenant_session(process.database, tenant) as session:
        repository = ApiClientRepository(session=session)
        await repository.store_anew(client.client_id, former_digest=b"what was read", digest=b"what would be written")
    assert await is_let_in(process, tenant, client)


async def test_a_new_client_after_a_rotation_is_stored_by_the_new_pepper(own: Settings, process: Process) -> None:
    tenant = await provisioned(process)
    await rotated(own, process, tenant.slug)
    client = await api_client(process, tenant)
    newest = (await peppers_of(process, tenant))[0]
    assert (await stored(process, tenant, client)).secret_digest == secret_digest(client.client_secret, pepper=newest)


async def test_a_run_over_all_leaves_out_who_has_a_new_one(own: Settings, process: Process, owner: Any) -> None:
    done, left = await provisioned(process), await provisioned(process)
    an_hour_ago = "overlay(id::text placing '01900000-0000' from 1 for 13)::uuid"
    await owner.execute(f'UPDATE "{left.schema}".tenant_secrets SET id = {an_hour_ago}')
    for _ in range(2):
        await rotated(own, process, age=timedelta(hours=1))
    assert len(await peppers_of(process, done)) == 1
    assert len(await peppers_of(process, left)) == 2


async def test_two_rotations_at_once_make_one_pepper_or_two_that_both_work(own: Settings, process: Process) -> None:
    tenant = await provisioned(process)
    client = await api_client(process, tenant)
    await asyncio.gather(*(rotated(own, process, tenant.slug) for _ in range(4)))
    assert 2 <= len(await peppers_of(process, tenant)) <= 5
    assert await is_let_in(process, tenant, client)
