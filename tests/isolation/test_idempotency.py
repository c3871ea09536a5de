"""The same key of the same subject in two tenants is two keys: neither its answer nor its lock is shared.

The subject's id is the same on purpose. So nothing but the tenant tells the two requests apart, and the last two tests
show that a mechanism which forgot the tenant would be found out.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from leasehold.core.idempotency.key import IdempotencyKey
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.idempotency.repository import KeptAnswerRepository
from tests.locks import WAITING

_TWIN = text(
    "INSERT INTO api_clients (id, name, secret_digest, scopes, created_at, updated_at)"
    " VALUES (:id, 'twin', '', '{items:read,items:write,users:read,users:write,tenant:read}', now(), now())"
)
_ITEM = {"title": "Desk"}
_USER = {"email": "a@example.org"}


@pytest.fixture
async def twins(process: Process, acme: TenantRef, globex: TenantRef) -> list[dict[str, str]]:
    """Headers with one key, of an API client of each tenant; both clients have the same id."""
    subject = new_id()
    return [await _twin(process, tenant, subject) for tenant in (acme, globex)]


async def _twin(process: Process, tenant: TenantRef, subject: UUID) -> dict[str, str]:
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(_TWIN, {"id": subject})
    scopes = frozenset({"items:read", "items:write", "users:read", "users:write", "tenant:read"})
    token = process.tokens.issue(kind="client", subject=subject, tenant_id=tenant.id, scopes=scopes)
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": "shared"}


async def leak_of_answers(http: httpx.AsyncClient, twins: list[dict[str, str]]) -> list[str]:
    """Send the same request to both tenants, twice, and return what one saw of the other."""
    answers = [await http.post("/v1/items", headers=headers, json=_ITEM) for headers in twins * 2]
    assert [answer.status_code for answer in answers] == [201] * 4
    listed = [(await http.get("/v1/items", headers=headers)).json()["items"] for headers in twins]
    leaks = ["one id for both"] if answers[0].json()["id"] == answers[1].json()["id"] else []
    return leaks + [f"{len(items)} items" for items in listed if len(items) != 1]


@asynccontextmanager
async def in_flight(
    http: httpx.AsyncClient, process: Process, tenant: TenantRef, headers: dict[str, str]
) -> AsyncGenerator[None]:
    """Keep a request of a tenant under way: it waits for an address that somebody else is about to take."""
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(
            text(
                "INSERT INTO users (id, email, role, created_at, updated_at)"
                " VALUES (gen_random_uuid(), 'a@example.org', 'member', now(), now())"
            )
        )
        first = asyncio.create_task(http.post("/v1/users", headers=headers, json=_USER))
        async with asyncio.timeout(30):
            while not await session.scalar(text(WAITING)):
                await asyncio.sleep(0.01)
        yield
        await session.rollback()
    assert (await first).status_code == 201


async def test_an_answer_of_one_tenant_is_never_given_to_another(
    http: httpx.AsyncClient, twins: list[dict[str, str]]
) -> None:
    assert await leak_of_answers(http, twins) == []


@pytest.mark.not_pooled("holds two transactions at once")
async def test_a_request_of_one_tenant_is_not_in_the_way_of_another(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, twins: list[dict[str, str]]
) -> None:
    async with in_flight(http, process, acme, twins[0]):
        assert (await http.post("/v1/users", headers=twins[1], json=_USER)).status_code == 201


async def test_answers_that_are_kept_without_the_tenant_would_be_found(
    http: httpx.AsyncClient, twins: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, shared = KeptAnswerRepository.find, {}

    async def find(self: KeptAnswerRepository, key: IdempotencyKey) -> Any:
        return shared.setdefault((key.subject, key.text), await real(self, key)) or shared.pop((key.subject, key.text))

    monkeypatch.setattr(KeptAnswerRepository, "find", find)
    first = await http.post("/v1/items", headers=twins[0], json=_ITEM)
    again = await http.post("/v1/items", headers=twins[0], json=_ITEM)
    assert first.content == again.content
    assert await leak_of_answers(http, twins) == ["one id for both", "0 items"]


@pytest.mark.not_pooled("holds two transactions at once")
async def test_locks_that_forget_the_tenant_would_be_found(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    twins: list[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = IdempotencyKey.lock
    monkeypatch.setattr(IdempotencyKey, "lock", lambda self, _place: real(self, b""))
    async with in_flight(http, process, acme, twins[0]):
        assert (await http.post("/v1/users", headers=twins[1], json=_USER)).status_code == 409
