"""Custom domains: a tenant answers on a name of its own, which belongs to it alone."""

import asyncio
import secrets

import httpx
import pytest
from sqlalchemy import text

from leasehold.core.database import platform_session
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import pointers_of, refusal_of
from tests.factories import OPERATOR, admin, bearer, item
from tests.locks import WAITING


def new_hostname() -> str:
    return f"app.h{secrets.token_hex(6)}.example"


def domains_of(tenant: TenantRef) -> str:
    return f"/platform/v1/tenants/{tenant.id}/domains"


async def test_a_tenant_answers_on_its_own_domain_and_no_other_does(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    hostname, own = new_hostname(), await item(process, acme)
    made = await http.post(domains_of(acme), headers=await admin(process), json={"hostname": hostname})
    assert made.status_code == 201
    assert set(made.json()) == {"id", "hostname", "created_at"}
    assert made.json()["hostname"] == hostname
    url = f"https://{hostname}/v1/items"
    listed = (await http.get(url, headers=await bearer(process, acme))).json()
    assert [row["id"] for row in listed["items"]] == [str(own.id)]
    assert refusal_of(await http.get(url, headers=await bearer(process, globex))) == (403, "tenant-mismatch")
    named = await http.get(url, headers={**await bearer(process, acme), "X-Tenant": globex.slug})
    assert refusal_of(named) == (403, "tenant-mismatch")


async def test_a_custom_domain_names_the_tenant_at_the_token_endpoint(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    for tenant in (acme, globex):
        hostname = new_hostname()
        await http.post(domains_of(tenant), headers=headers, json={"hostname": hostname})
        answer = await http.post(f"https://{hostname}/oauth/token", data={"grant_type": "client_credentials"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_the_platform_is_not_there_on_a_custom_domain(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    for tenant in (acme, globex):
        hostname = new_hostname()
        await http.post(domains_of(tenant), headers=headers, json={"hostname": hostname})
        refused = await http.get(f"https://{hostname}/platform/v1/tenants", headers=headers)
        assert refusal_of(refused) == (404, "not-found")


async def test_a_domain_that_belongs_to_a_tenant_is_taken(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, hostname = await admin(process), new_hostname()
    await http.post(domains_of(acme), headers=headers, json={"hostname": hostname})
    for tenant in (globex, acme):
        refused = await http.post(domains_of(tenant), headers=headers, json={"hostname": hostname})
        assert refusal_of(refused) == (409, "hostname-taken")
        assert pointers_of(refused) == ["/hostname"]
    answer = await http.get(f"https://{hostname}/v1/me", headers=await bearer(process, acme))
    assert answer.json()["tenant"]["id"] == str(acme.id)


@pytest.mark.parametrize(
    "hostname",
    [
        "",
        "acme",
        "App.Acme.Example",
        "app.acme.example.",
        "app.acme.example:443",
        "https://app.acme.example",
        "app..example",
        "-app.acme.example",
        "app-.acme.example",
        "app_1.acme.example",
        "app.acme.example\n",
        "app acme.example",
        "127.0.0.1",
        "[::1]",
        "münchen.example",
        "\u0430cme.example",  # the first letter is Cyrillic
        "acme\u3002example",  # which browsers take for a dot
        "acme.example%2e",
        "*.acme.example",
        "'; DROP TABLE platform.tenant_domains; --",
        f"{'a' * 64}.example",
        f"{'a.' * 130}example",
    ],
)
async def test_a_hostname_that_is_none_is_pointed_at(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, hostname: str
) -> None:
    headers = await admin(process)
    for tenant in (acme, globex):
        refused = await http.post(domains_of(tenant), headers=headers, json={"hostname": hostname})
        assert refused.status_code == 422
        assert pointers_of(refused) == ["/hostname"]


async def test_a_name_below_the_base_domain_is_no_custom_domain(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    # It could never answer: the base domain is the platform's, and what is below it are slugs.
    headers = await admin(process)
    below = ("leasehold.test", f"{globex.slug}.leasehold.test", "free.leasehold.test", "a.b.leasehold.test")
    for hostname in (*below, "localhost", "leasehold.test.", "LEASEHOLD.test"):
        refused = await http.post(domains_of(acme), headers=headers, json={"hostname": hostname})
        assert refused.status_code == 422, hostname
        assert pointers_of(refused) == ["/hostname"]


async def test_a_domain_that_was_removed_answers_no_more_and_can_go_to_another(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, hostname = await admin(process), new_hostname()
    await http.post(domains_of(acme), headers=headers, json={"hostname": hostname})
    foreign = await http.delete(f"{domains_of(globex)}/{hostname}", headers=headers)
    assert refusal_of(foreign) == (404, "not-found")
    assert (await http.delete(f"{domains_of(acme)}/{hostname}", headers=headers)).status_code == 204
    gone = await http.get(f"https://{hostname}/v1/me", headers=await bearer(process, acme))
    assert refusal_of(gone) == (404, "unknown-tenant")
    assert refusal_of(await http.delete(f"{domains_of(acme)}/{hostname}", headers=headers)) == (404, "not-found")
    assert (await http.post(domains_of(globex), headers=headers, json={"hostname": hostname})).status_code == 201
    answer = await http.get(f"https://{hostname}/v1/me", headers=await bearer(process, globex))
    assert answer.json()["tenant"]["id"] == str(globex.id)


async def test_the_domain_of_a_suspended_tenant_is_refused_and_that_of_a_renamed_one_stays(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, hostname, other = await admin(process), new_hostname(), new_hostname()
    await http.post(domains_of(acme), headers=headers, json={"hostname": hostname})
    await http.post(domains_of(globex), headers=headers, json={"hostname": other})
    await http.put(f"/platform/v1/tenants/{acme.id}/suspension", headers=headers)
    await http.patch(f"/platform/v1/tenants/{globex.id}", headers=headers, json={"slug": globex.slug + "x"})
    refused = await http.get(f"https://{hostname}/v1/me", headers=await bearer(process, acme))
    assert refusal_of(refused) == (403, "tenant-suspended")
    assert (await http.get(f"https://{other}/v1/me", headers=await bearer(process, globex))).status_code == 200


async def test_a_domain_is_the_same_however_a_client_writes_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, hostname = await admin(process), f"app.xn--{secrets.token_hex(6)}-3ya.example"
    assert (await http.post(domains_of(acme), headers=headers, json={"hostname": hostname})).status_code == 201
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    for host in (hostname, hostname.upper(), f"{hostname}.", f"{hostname}:8443", f"{hostname}.:443"):
        answer = await http.get("/v1/me", headers={**ours, "Host": host})
        assert answer.json()["tenant"]["id"] == str(acme.id), host
        assert refusal_of(await http.get("/v1/me", headers={**theirs, "Host": host})) == (403, "tenant-mismatch")
    for host in (f"www.{hostname}", hostname.removeprefix("app.")):
        assert refusal_of(await http.get("/v1/me", headers={**ours, "Host": host})) == (404, "unknown-tenant")


async def test_the_domains_of_a_tenant_are_listed_in_pages_and_those_of_no_other(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, names = await admin(process), [new_hostname() for _ in range(3)]
    for tenant, hostname in ((acme, names[0]), (globex, new_hostname()), (acme, names[1]), (acme, names[2])):
        await http.post(domains_of(tenant), headers=headers, json={"hostname": hostname})
    first = (await http.get(domains_of(acme), headers=headers, params={"limit": 2})).json()
    assert [row["hostname"] for row in first["items"]] == names[:2]
    assert set(first["items"][0]) == {"id", "hostname", "created_at"}
    assert first["has_more"] is True
    cursor = {"limit": "2", "cursor": first["next_cursor"]}
    second = (await http.get(domains_of(acme), headers=headers, params=cursor)).json()
    assert [row["hostname"] for row in second["items"]] == names[2:]
    assert (second["has_more"], second["next_cursor"]) == (False, None)
    foreign = await http.get(domains_of(globex), headers=headers, params=cursor)
    assert refusal_of(foreign) == (422, "invalid-cursor")


async def test_a_tenant_without_domains_has_an_empty_list_and_one_that_there_is_not_has_none(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await admin(process)
    assert (await http.get(domains_of(acme), headers=headers)).json()["items"] == []
    unknown = "/platform/v1/tenants/0198c5f2-0000-7000-8000-000000000000/domains"
    assert refusal_of(await http.get(unknown, headers=headers)) == (404, "not-found")


async def test_of_several_who_want_a_domain_at_once_one_gets_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    for _ in range(5):
        hostname = new_hostname()
        answers = await asyncio.gather(
            *(http.post(domains_of(one), headers=headers, json={"hostname": hostname}) for one in (acme, globex) * 2)
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
        lists = [(await http.get(domains_of(one), headers=headers)).json()["items"] for one in (acme, globex)]
        assert [row["hostname"] for rows in lists for row in rows].count(hostname) == 1


@pytest.mark.not_pooled("holds two transactions at once")
@pytest.mark.parametrize("is_kept", [True, False])
async def test_who_waits_for_a_domain_that_another_is_getting_gets_it_only_if_that_one_does_not(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, *, is_kept: bool
) -> None:
    headers, hostname = await admin(process), new_hostname()
    async with platform_session(process.database) as session:
        service = TenantService(session, process.provisioner, base_domain="leasehold.test", vacancies=0)
        await service.add_domain(acme.id, hostname, by=OPERATOR)
        asked = asyncio.create_task(http.post(domains_of(globex), headers=headers, json={"hostname": hostname}))
        async with asyncio.timeout(30):
            while await session.scalar(text(WAITING)) != 1:
                await asyncio.sleep(0.01)
        if not is_kept:
            await session.rollback()
    assert (await asked).status_code == (409 if is_kept else 201)


async def test_the_domains_of_a_deleted_tenant_answer_nobody_and_go_to_nobody_else(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, hostname = await admin(process), new_hostname()
    await http.post(domains_of(acme), headers=headers, json={"hostname": hostname})
    token = await bearer(process, acme)
    await http.delete(f"/platform/v1/tenants/{acme.id}", headers=headers)
    assert refusal_of(await http.get(f"https://{hostname}/v1/me", headers=token)) == (404, "unknown-tenant")
    taken = await http.post(domains_of(globex), headers=headers, json={"hostname": hostname})
    assert refusal_of(taken) == (409, "hostname-taken")
    listed = (await http.get(domains_of(acme), headers=headers)).json()["items"]
    assert [row["hostname"] for row in listed] == [hostname]
    more = await http.post(domains_of(acme), headers=headers, json={"hostname": new_hostname()})
    assert refusal_of(more) == (409, "wrong-state")
    await http.post(f"/platform/v1/tenants/{acme.id}/restore", headers=headers)
    assert (await http.get(f"https://{hostname}/v1/me", headers=token)).status_code == 200
