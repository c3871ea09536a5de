"""Tokens of admins that are none: whoever sends many of them takes nothing from those who write in tenants."""

import asyncio
from collections.abc import Generator, Sequence
from typing import Any

import httpx
import pytest

from leasehold.core.credentials import new_secret
from leasehold.core.errors import DatabaseUnavailable, InvalidToken
from leasehold.platform.tokens.repository import AdminTokenRepository
from leasehold.platform.tokens.verification import AdminTokens
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import admin, bearer

TENANTS = "/platform/v1/tenants"


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Generator[asyncio.Event]:
    """Lets every look-up of a token keep its connection until this is set, at the end at the latest."""
    look_up, end = AdminTokenRepository.valid, asyncio.Event()

    async def slow(tokens: AdminTokenRepository, digests: Sequence[bytes]) -> Any:
        found = await look_up(tokens, digests)
        await end.wait()
        return found

    monkeypatch.setattr(AdminTokenRepository, "valid", slow)
    yield end
    end.set()


@pytest.mark.not_pooled("one of the tokens holds the server connection until its look-up ends")
async def test_many_tokens_that_are_none_leave_connections_to_those_who_write(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    hanging: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process.admin_tokens, "_timeout_s", 60)  # or those who wait would be answered before the end
    headers, by_admin = await bearer(process, acme), await admin(process)
    unknown = [{"Authorization": f"Bearer {new_secret('admin', tenant_id=None)}"} for _ in range(20)]
    asked = [asyncio.create_task(http.get(TENANTS, headers=one)) for one in unknown]
    await asyncio.sleep(0.1)
    made = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
    assert not any(task.done() for task in asked)
    hanging.set()
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {401}
    assert made.status_code == 201
    assert (await http.get(TENANTS, headers=by_admin)).status_code == 200


async def test_who_waits_too_long_for_a_look_up_is_to_come_back(process: Process, hanging: asyncio.Event) -> None:
    tokens = AdminTokens(process.database, process.key, timeout_s=0.05)
    unknown = new_secret("admin", tenant_id=None)
    tasks = [asyncio.create_task(tokens.verify(unknown)) for _ in range(2)]
    await asyncio.sleep(0.1)
    with pytest.raises(DatabaseUnavailable):
        await tokens.verify(unknown)
    hanging.set()
    assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [InvalidToken] * 2
