"""API keys against the other tenant, and against whoever has none."""

import asyncio
import secrets
import string
import zlib
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from leasehold.core.credentials import new_secret, secret_digest
from leasehold.core.errors import DatabaseUnavailable, InvalidToken
from leasehold.core.ids import base62, short_id
from leasehold.core.line import TooManyAtOnce
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.names import quoted
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.keys.repository import ApiKeyReads
from leasehold.workspace.keys.verification import ApiKeys
from tests.api.problems import on, refusal_of
from tests.factories import admin, api_client, api_key, bearer, item, provisioned, until


def carrying(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def renamed(key: str, tenant: TenantRef) -> str:
    """Return a key with the part of another tenant and the checksum that fits."""
    body = f"lh_key_{short_id(tenant.id)}_{key.rpartition('_')[2][:32]}"
    return body + base62(zlib.crc32(body.encode()), length=6)


async def pepper_of(process: Process, tenant: TenantRef) -> bytes:
    async with open_tenant_session(process.database, tenant) as session:
        return await read_pepper(session, process.key, tenant)


async def plant(process: Process, tenant: TenantRef, digest: bytes) -> None:
    """Give a tenant a good key with this digest."""
    key = await api_key(process, tenant)
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(
            text("UPDATE api_keys SET digest = :digest WHERE id = :id"), {"digest": digest, "id": key.id}
        )


@pytest.mark.parametrize("is_remembered", [True, False])
async def test_a_key_opens_its_own_tenant_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, is_remembered: bool
) -> None:
    headers = carrying((await api_key(process, acme)).key)
    ours, theirs = await item(process, acme), await item(process, globex)
    if is_remembered:
        assert (await http.get("/v1/items", headers=headers)).status_code == 200
    for url, more in (
        (on(globex.slug, "/v1/items"), {}),
        ("/v1/items", {"X-Tenant": globex.slug}),
        (on(globex.slug, "/v1/items"), {"X-Tenant": globex.slug}),
        (on(acme.slug, "/v1/items"), {"X-Tenant": globex.slug}),
        (on(globex.slug, "/v1/items"), {"X-Tenant": acme.slug}),
    ):
        assert refusal_of(await http.get(url, headers=headers | more)) == (403, "tenant-mismatch")
    assert refusal_of(await http.get(on("nobody", "/v1/items"), headers=headers)) == (404, "unknown-tenant")
    for url, more in (("/v1/items", {}), (on(acme.slug, "/v1/items"), {"X-Tenant": acme.slug})):
        listed = (await http.get(url, headers=headers | more)).json()["items"]
        assert [each["id"] for each in listed] == [str(ours.id)]
    assert refusal_of(await http.get(f"/v1/items/{theirs.id}", headers=headers)) == (404, "not-found")


async def test_a_key_with_another_tenants_part_opens_nothing(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    key = (await api_key(process, acme)).key
    forged = renamed(key, globex)
    # It would be found, were it looked up on the path of the tenant that it was made for, or under no tenant's pepper.
    await plant(process, acme, secret_digest(forged, pepper=await pepper_of(process, globex)))
    await plant(process, globex, secret_digest(key, pepper=await pepper_of(process, acme)))
    await plant(process, globex, secret_digest(forged, pepper=await pepper_of(process, acme)))
    for url in ("/v1/items", on(globex.slug, "/v1/items")):
        assert refusal_of(await http.get(url, headers=carrying(forged))) == (401, "invalid-token")
    assert refusal_of(await http.get(on(acme.slug, "/v1/items"), headers=carrying(forged))) == (403, "tenant-mismatch")
    assert (await http.get("/v1/items", headers=carrying(key))).status_code == 200


async def test_the_same_text_has_another_digest_in_each_tenant(
    process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    digests = {secret_digest("lh_key_x", pepper=await pepper_of(process, tenant)) for tenant in (acme, globex)}
    assert len(digests) == 2


async def test_a_key_of_a_tenant_that_never_was_finds_none(http: httpx.AsyncClient) -> None:
    key = new_secret("key", tenant_id=UUID(int=7))
    assert refusal_of(await http.get("/v1/items", headers=carrying(key))) == (404, "unknown-tenant")


async def test_a_key_opens_nothing_on_the_platform_and_gets_no_token(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    key = await api_key(process, acme)
    refused = await http.get("/platform/v1/tenants", headers=carrying(key.key))
    assert refusal_of(refused) == (401, "invalid-token")
    form = {"grant_type": "client_credentials", "client_id": str(key.id), "client_secret": key.key}
    answer = await http.post(on(acme.slug, "/oauth/token"), data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_other_secrets_are_no_keys(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    client_secret = (await api_client(process, acme)).client_secret
    admin_token = (await admin(process))["Authorization"].removeprefix("Bearer ")
    await plant(process, acme, secret_digest(client_secret, pepper=await pepper_of(process, acme)))
    for secret in (client_secret, admin_token, new_secret("key", tenant_id=None)):
        for more in ({}, {"X-Tenant": acme.slug}):
            assert refusal_of(await http.get("/v1/items", headers=carrying(secret) | more)) == (401, "invalid-token")


async def test_a_misspelt_key_is_refused(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    key = (await api_key(process, acme)).key
    assert (await http.get("/v1/items", headers=carrying(key))).status_code == 200
    spoilt = [
        key[:-1],
        key + "x",
        key[:-6],
        key[:30],
        "lh_key_",
        key.swapcase(),
        key.replace("_", "-"),
        key.upper(),
        key + key,
        f"{key} {key}",
        f"{key},",
        key.replace("lh_key_", "lh_key__"),
        "lh_key_" + "_" * 61,
        "lh_key_" + "é" * 61,
        key[:-1] + "é",
        "lh_key_" + "x" * 1_000_000,
        *(key[:at] + ("x" if key[at] != "x" else "y") + key[at + 1 :] for at in range(7, len(key), 9)),
    ]
    for text_ in spoilt:
        answer = await http.get("/v1/items", headers={b"authorization": f"Bearer {text_}".encode("latin-1")})  # type: ignore[arg-type]
        assert refusal_of(answer) == (401, "invalid-token"), text_[:80]


async def test_many_unknown_keys_at_once_leave_connections_to_others(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, known = await bearer(process, globex), await api_key(process, globex)
    assert (await http.get("/v1/items", headers=carrying(known.key))).status_code == 200
    look_up, go_on, at_once, most = ApiKeyReads.by_digest, asyncio.Event(), 0, 0

    async def slow(reads: ApiKeyReads, digest: bytes) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await go_on.wait()
        at_once -= 1
        return await look_up(reads, digest)

    monkeypatch.setattr(ApiKeyReads, "by_digest", slow)
    same = new_secret("key", tenant_id=acme.id)
    unknown = [same] * 20 + [new_secret("key", tenant_id=acme.id) for _ in range(20)]
    asked = [asyncio.create_task(http.get("/v1/items", headers=carrying(key))) for key in unknown]
    await until(lambda: at_once == 2, timeout_s=30)
    for good in (headers, carrying(known.key)):
        assert (await http.get("/v1/items", headers=good)).status_code == 200
    assert not any(task.done() for task in asked)
    go_on.set()
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {401}
    assert most == 2


@pytest.mark.not_pooled("one of its tenants holds the server connection until its lock is released")
async def test_look_ups_that_hang_in_one_tenant_keep_no_other_waiting(
    http: httpx.AsyncClient, process: Process, owner: Any, acme: TenantRef, globex: TenantRef
) -> None:
    good = (await api_key(process, globex)).key
    async with owner.transaction():
        await owner.execute(f"LOCK TABLE {quoted(acme.schema)}.api_keys IN ACCESS EXCLUSIVE MODE")
        unknown = [carrying(new_secret("key", tenant_id=acme.id)) for _ in range(20)]
        asked = [asyncio.create_task(http.get("/v1/items", headers=headers)) for headers in unknown]
        await asyncio.sleep(0.1)
        answer = await http.get("/v1/items", headers=carrying(good))
        assert not any(task.done() for task in asked)
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {401}
    assert answer.status_code == 200


async def test_who_waits_too_long_for_a_look_up_is_to_come_back(
    process: Process, acme: TenantRef, globex: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ApiKeys(process.readers, process.subjects, process.key, timeout_s=0.05)
    hang = asyncio.Event()

    async def hanging(_reads: ApiKeyReads, _digest: bytes) -> None:
        await hang.wait()

    monkeypatch.setattr(ApiKeyReads, "by_digest", hanging)
    initech = await provisioned(process)
    unknown = {tenant: new_secret("key", tenant_id=tenant.id) for tenant in (acme, globex, initech)}
    tasks = [asyncio.create_task(keys.verify(unknown[tenant], tenant)) for tenant in (acme, acme, globex, globex)]
    await asyncio.sleep(0.2)
    try:
        with pytest.raises(TooManyAtOnce):
            await keys.verify(unknown[acme], acme)
        with pytest.raises(DatabaseUnavailable):
            await keys.verify(unknown[initech], initech)
    finally:
        hang.set()
    assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [InvalidToken] * 4
    for tenant in (acme, initech):
        with pytest.raises(InvalidToken):
            await keys.verify(unknown[tenant], tenant)


async def test_a_new_key_used_by_many_at_once_works_for_all(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = carrying((await api_key(process, acme)).key)
    answers = await asyncio.gather(*(http.get("/v1/items", headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}


async def test_random_texts_behind_the_prefix_never_fail_otherwise(http: httpx.AsyncClient, acme: TenantRef) -> None:
    letters = string.printable.strip() + "\x80\xff"
    for _ in range(200):
        noise = "".join(secrets.choice(letters) for _ in range(secrets.randbelow(80)))
        for body in (f"lh_key_{noise}", f"lh_key_{short_id(acme.id)}_{noise[:32]:_<32}"):
            key = body + base62(zlib.crc32(body.encode()), length=6)
            answer = await http.get("/v1/items", headers={b"authorization": f"Bearer {key}".encode("latin-1")})  # type: ignore[arg-type]
            assert answer.status_code in {401, 404}, key
