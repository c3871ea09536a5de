"""Custom domains: a tenant answers on a name of its own, which belongs to it alone."""

import secrets

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import pointers_of, refusal_of
from tests.factories import admin, bearer, item


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
    for hostname in ("leasehold.test", f"{globex.slug}.leasehold.test", "free.leasehold.test"):
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
