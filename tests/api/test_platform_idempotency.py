"""Keys of platform admins, above all for what is committed before the request is: a tenant."""

import asyncio
import json
from collections import Counter
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.core.idempotency.key import IdempotencyKey, fingerprint
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import OPERATOR, admin, bearer, new_slug
from tests.locks import WAITING
from tests.pooler import direct
from tests.queued import queued

TENANTS = "/platform/v1/tenants"


@pytest.fixture
async def none_vacant(owner: Any) -> None:
    """No vacancies, as workers leave them: who gets one has no receipt."""
    await owner.execute("UPDATE platform.tenants SET state = 'purging' WHERE state = 'vacant'")


async def keyed(process: Process, key: str | None = None) -> dict[str, str]:
    """Return the headers of a fresh admin with a key of its own."""
    return {**await admin(process), "Idempotency-Key": key or str(new_id())}


async def subject_of(process: Process, headers: dict[str, str]) -> UUID:
    """Return the id of an admin, as a receipt or an answer of theirs has it."""
    async with platform_session(process.database) as session:
        sql = "SELECT subject FROM platform.idempotency_keys WHERE key = :key"
        return await session.scalar(text(sql), {"key": headers["Idempotency-Key"]})


async def count(process: Process, slug: str) -> int:
    async with platform_session(process.database) as session:
        return await session.scalar(text("SELECT count(*) FROM platform.tenants WHERE slug = :slug"), {"slug": slug})


async def test_a_tenant_is_provisioned_once_and_the_answer_given_again(
    http: httpx.AsyncClient, process: Process
) -> None:
    for _ in range(2):
        headers, body = await keyed(process), {"slug": new_slug(), "name": "Acme"}
        first = await http.post(TENANTS, headers=headers, json=body)
        again = await http.post(TENANTS, headers=headers, json=body)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.content == again.content
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert await count(process, body["slug"]) == 1
        other = await http.post(TENANTS, headers=headers, json={"slug": new_slug(), "name": "Acme"})
        assert refusal_of(other) == (422, "idempotency-key-reused")


async def test_two_admins_may_use_the_same_key(http: httpx.AsyncClient, process: Process) -> None:
    key = str(new_id())
    made = []
    for _ in range(2):
        headers, body = await keyed(process, key), {"slug": new_slug(), "name": "Acme"}
        made.append(await http.post(TENANTS, headers=headers, json=body))
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["id"] != made[1].json()["id"]


async def test_two_tokens_of_one_admin_are_one_admin(http: httpx.AsyncClient, process: Process) -> None:
    name = new_slug()
    headers = [{**await admin(process, name=name), "Idempotency-Key": "rotated in between"} for _ in range(2)]
    body = {"slug": new_slug(), "name": "Acme"}
    made = [await http.post(TENANTS, headers=each, json=body) for each in headers]
    assert made[0].content == made[1].content
    assert headers[0] != headers[1]


async def test_a_refused_tenant_leaves_the_key_free(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await keyed(process)
        taken = await http.post(TENANTS, headers=headers, json={"slug": tenant.slug, "name": "Acme"})
        assert refusal_of(taken) == (409, "slug-taken")
        reserved = await http.post(TENANTS, headers=headers, json={"slug": "www", "name": "Acme"})
        assert refusal_of(reserved) == (422, "invalid-slug")
        mended = await http.post(TENANTS, headers=headers, json={"slug": new_slug(), "name": "Acme"})
        assert mended.status_code == 201


async def test_of_20_equal_requests_at_once_one_provisions(http: httpx.AsyncClient, process: Process) -> None:
    headers, body = await keyed(process), {"slug": new_slug(), "name": "Acme"}
    answers = await asyncio.gather(*(http.post(TENANTS, headers=headers, json=body) for _ in range(20)))
    assert set(Counter(answer.status_code for answer in answers)) <= {201, 409}
    assert {refusal_of(answer) for answer in answers if answer.status_code == 409} <= {(409, "idempotency-key-in-use")}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert await count(process, body["slug"]) == 1
    assert (await http.post(TENANTS, headers=headers, json=body)).headers["idempotent-replayed"] == "true"


async def test_who_comes_while_the_backend_of_a_dead_server_still_provisions_is_told_to_wait(
    http: httpx.AsyncClient, process: Process, owner: Any, none_vacant: None
) -> None:
    """The dead server's lock has gone with its connection, but the owner's transaction is still about to commit."""
    headers = await keyed(process)
    warm_up = {"slug": new_slug(), "name": "To learn who the admin is"}
    assert (await http.post(TENANTS, headers=headers, json=warm_up)).status_code == 201
    subject = await subject_of(process, headers)
    headers["Idempotency-Key"] = "a key with 'quotes'; -- \\"
    content = json.dumps({"slug": new_slug(), "name": "Acme"}).encode()
    stamp = fingerprint(
        process.key.derive("idempotency fingerprints"),
        kind="admin",
        subject=subject,
        method="POST",
        target=f"{TENANTS}?",
        body=content,
    )
    key = IdempotencyKey(subject, headers["Idempotency-Key"], stamp)
    async with owner.transaction():
        await owner.execute("LOCK TABLE platform.registry_changes IN SHARE MODE")
        dying = asyncio.create_task(
            process.provisioner.provision(slug=json.loads(content)["slug"], name="Acme", by=OPERATOR, key=key)
        )
        await _blocked(owner, 1)
        json_headers = {**headers, "Content-Type": "application/json"}
        second = asyncio.create_task(http.post(TENANTS, headers=json_headers, content=content))
        await _blocked(owner, 2)
    tenant, refused = await dying, await second
    assert refusal_of(refused) == (409, "idempotency-key-in-use")
    assert refused.headers["retry-after"] == "1"
    found = await http.post(TENANTS, headers=json_headers, content=content)
    assert (found.status_code, found.json()["id"]) == (201, str(tenant.id))
    other = await http.post(TENANTS, headers=json_headers, content=content.replace(b"Acme", b"Else"))
    assert refusal_of(other) == (422, "idempotency-key-reused")


async def _blocked(owner: Any, wanted: int) -> None:
    # Longer than any test of another worker holds a tenant's provisioning up, for which this one's would have to wait.
    async with asyncio.timeout(30):
        while await owner.fetchval(WAITING) < wanted:
            await asyncio.sleep(0.01)


async def test_a_receipt_counts_for_24_hours(http: httpx.AsyncClient, process: Process, none_vacant: None) -> None:
    """Its answer is gone, as if the server had died; younger than a day it finds the tenant, older it finds nothing."""
    for age, status in (("23 hours 59 minutes", 201), ("24 hours", 409)):
        headers, body = await keyed(process), {"slug": new_slug(), "name": "Acme"}
        first = await http.post(TENANTS, headers=headers, json=body)
        async with platform_session(process.database) as session:
            key = {"key": headers["Idempotency-Key"]}
            await session.execute(text("DELETE FROM platform.idempotency_keys WHERE key = :key"), key)
            sql = (
                f"UPDATE platform.provisioning_receipts SET created_at = created_at - interval '{age}' WHERE key = :key"
            )
            await session.execute(text(sql), key)
        again = await http.post(TENANTS, headers=headers, json=body)
        assert again.status_code == status
        if status == 201:
            assert again.json()["id"] == first.json()["id"]
        else:
            assert refusal_of(again) == (409, "slug-taken")
            new = await http.post(TENANTS, headers=headers, json={"slug": new_slug(), "name": "Acme"})
            assert new.status_code == 201


async def test_a_domain_is_added_once(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers, body = await keyed(process), {"hostname": f"{new_slug()}.example"}
        address = f"{TENANTS}/{tenant.id}/domains"
        answers = [await http.post(address, headers=headers, json=body) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].content == answers[1].content


async def test_a_job_is_retried_once(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        job_id = queued(direct(settings), tenant.id, "dead")
        headers = await keyed(process)
        answers = [await http.post(f"/platform/v1/jobs/{job_id}/retry", headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].content == answers[1].content
        assert answers[1].headers["idempotent-replayed"] == "true"
        async with platform_session(process.database) as session:
            await session.execute(text("DELETE FROM platform.jobs WHERE id = :id"), {"id": job_id})


async def test_keys_of_admins_and_of_tenants_do_not_meet(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    key = {"Idempotency-Key": str(new_id())}
    body = {"slug": new_slug(), "name": "Acme"}
    assert (await http.post(TENANTS, headers={**await admin(process), **key}, json=body)).status_code == 201
    for tenant in (acme, globex):
        headers = {**await bearer(process, tenant), **key}
        made = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
        assert made.status_code == 201
        assert "idempotent-replayed" not in made.headers
