"""Two processes of the server refuse a revoked API key at once, also when they have just lost their feed."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.keys.schemas import ApiKeyPatch
from leasehold.workspace.keys.service import ApiKeyService
from tests.factories import OPERATOR, api_key
from tests.faults.serving import served
from tests.faults.test_directory import WITHIN_S, cut_feeds, seconds_until


@pytest.mark.parametrize("listen", [True, False], ids=["LISTEN", "polling"])
async def test_two_processes_refuse_a_revoked_key(
    settings: Settings, process: Process, acme: TenantRef, listen: bool
) -> None:
    key = await api_key(process, acme)
    headers = {"Authorization": f"Bearer {key.key}"}
    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(served(settings, listen=listen)) for _ in range(2)]

        async def change(*, is_active: bool, cut: bool = False) -> None:
            async with open_tenant_session(process.database, acme) as session:
                await ApiKeyService(session=session).change(key.id, ApiKeyPatch(is_active=is_active), by=OPERATOR)
                if cut:  # the notification goes to nobody
                    await cut_feeds(settings)
            since, status = time.monotonic(), 200 if is_active else 401
            seconds = await asyncio.gather(*(seconds_until(each, headers, status, since=since) for each in addresses))
            assert max(seconds) < WITHIN_S, seconds

        for address in addresses:
            await seconds_until(address, headers, 200, since=time.monotonic())
        await change(is_active=False)
        await change(is_active=True)
        await change(is_active=False, cut=True)
