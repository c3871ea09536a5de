"""The same POST many times at once: it is carried out once, and nobody waits for the one who does it."""

import asyncio
from collections import Counter

import httpx
import pytest
from sqlalchemy import text

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import bearer
from tests.locks import WAITING

COUNT = 20
BUSY = (409, "idempotency-key-in-use")


async def counts(process: Process, tenant: TenantRef) -> tuple[int, int]:
    """Return how many items a tenant has, and how many kept answers."""
    async with open_tenant_session(process.database, tenant) as session:
        sql = "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM idempotency_keys)"
        return (await session.execute(text(sql))).one()._tuple()


def outcome_of(answer: httpx.Response) -> str:
    if answer.status_code == 201:
        return "replayed" if answer.headers.get("idempotent-replayed") == "true" else "made"
    assert refusal_of(answer) == BUSY
    assert answer.headers["retry-after"] == "1"
    return "busy"


@pytest.mark.not_pooled("holds two transactions at once")
async def test_of_20_equal_requests_at_once_one_is_carried_out(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(5):
        bursts = []
        for tenant in (acme, globex):
            headers = {**await bearer(process, tenant), "Idempotency-Key": f"burst {number}"}
            bursts += [http.post("/v1/items", headers=headers, json={"title": tenant.slug}) for _ in range(COUNT)]
        answers = await asyncio.gather(*bursts)
        for one in (answers[:COUNT], answers[COUNT:]):
            told = Counter(map(outcome_of, one))
            assert told["made"] == 1
            assert told.total() == COUNT
            assert len({answer.json()["id"] for answer in one if answer.status_code == 201}) == 1
            outcomes += told
    assert outcomes["busy"] > 0, "the requests did not meet, so the test has proved nothing"
    assert await counts(process, acme) == (5, 5)
    assert await counts(process, globex) == (5, 5)


async def test_whoever_is_told_to_come_back_gets_the_answer_in_the_end(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    async def insist(headers: dict[str, str]) -> str:
        while True:
            answer = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
            if outcome_of(answer) != "busy":
                return answer.json()["id"]
            await asyncio.sleep(0.01)

    for tenant in (acme, globex):
        headers = {**await bearer(process, tenant), "Idempotency-Key": "insist"}
        assert len(set(await asyncio.gather(*(insist(headers) for _ in range(COUNT))))) == 1
        assert await counts(process, tenant) == (1, 1)


@pytest.mark.not_pooled("holds two transactions at once")
async def test_a_request_under_way_holds_up_neither_its_equals_nor_other_keys(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    """The first is held in its transaction by a lock on the address that it is about to give to a user."""
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        body = {"email": "a@example.org"}
        async with open_tenant_session(process.database, tenant) as session:
            await session.execute(
                text(
                    "INSERT INTO users (id, email, role, created_at, updated_at)"
                    " VALUES (gen_random_uuid(), 'a@example.org', 'member', now(), now())"
                )
            )
            first = asyncio.create_task(http.post("/v1/users", headers={**headers, "Idempotency-Key": "a"}, json=body))
            while not await session.scalar(text(WAITING)):
                await asyncio.sleep(0.01)
            async with asyncio.timeout(30):
                equal = await http.post("/v1/users", headers={**headers, "Idempotency-Key": "a"}, json=body)
                assert refusal_of(equal) == BUSY
                other = await http.post("/v1/items", headers={**headers, "Idempotency-Key": "b"}, json={"title": "x"})
                assert other.status_code == 201
            assert not first.done()
            await session.rollback()
        assert (await first).status_code == 201
        again = await http.post("/v1/users", headers={**headers, "Idempotency-Key": "a"}, json=body)
        assert again.content == (await first).content


async def test_a_client_that_hangs_up_leaves_the_key_free_or_the_answer_kept(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = {**await bearer(process, tenant), "Idempotency-Key": "cancelled"}
        for pause in (0.001, 0.002, 0.004, 0.008):
            task = asyncio.create_task(http.post("/v1/items", headers=headers, json={"title": "Desk"}))
            await asyncio.sleep(pause)
            task.cancel()
            await asyncio.wait([task])
        async with asyncio.timeout(30):
            while (await http.post("/v1/items", headers=headers, json={"title": "Desk"})).status_code != 201:
                await asyncio.sleep(0.01)
        assert await counts(process, tenant) == (1, 1)
