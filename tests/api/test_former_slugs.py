"""A slug that a tenant gave up: its host sends requests on for a while, and it is nobody else's meanwhile."""

import asyncio
import time
from types import SimpleNamespace
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from leasehold.core.database import platform_session
from leasehold.platform.tenants.schemas import TenantPatch
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy import directory, feed
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import NoArguments
from leasehold.tenancy.registry import announce_tenant
from leasehold.tenancy.upkeep import tidy_up
from tests.api.problems import on, pointers_of, refusal_of
from tests.factories import OPERATOR, admin, api_key, bearer, item, new_slug, provisioned
from tests.locks import WAITING

TENANTS = "/platform/v1/tenants"
KEPT_FOR = """
UPDATE platform.former_slugs SET expires_at = now() + make_interval(secs => :seconds) WHERE tenant_id = :tenant_id
"""


async def rename(http: httpx.AsyncClient, process: Process, tenant: TenantRef, slug: str | None = None) -> str:
    """Give a tenant another slug, and return it."""
    slug = slug or new_slug()
    answer = await http.patch(f"{TENANTS}/{tenant.id}", headers=await admin(process), json={"slug": slug})
    assert answer.json()["slug"] == slug, answer.text
    return slug


async def end_after(process: Process, tenant_id: UUID, seconds: float) -> None:
    """Let the former slugs of a tenant be kept for so long from now on."""
    async with platform_session(process.database) as session:
        await session.execute(text(KEPT_FOR), {"seconds": seconds, "tenant_id": tenant_id})
        await announce_tenant(session, tenant_id)
    await process.feed.caught_up()


async def kept(process: Process, slug: str) -> int:
    """Return how many rows keep a slug."""
    async with platform_session(process.database) as session:
        count = await session.scalar(text("SELECT count(*) FROM platform.former_slugs WHERE slug = :s"), {"s": slug})
    return count or 0


async def where(http: httpx.AsyncClient, url: str, method: str = "GET", **options: object) -> str:
    """Return where a request is sent on to."""
    answer = await http.request(method, url, **options)  # type: ignore[arg-type]
    assert (answer.status_code, answer.content) == (308, b""), answer.text
    return answer.headers["location"]


async def test_the_host_of_a_former_slug_sends_each_request_on_as_it_came(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    new = await rename(http, process, acme)
    for target in (
        "/v1/items",
        "/v1/items?x=1",
        "/v1/items?q=caf%C3%A9%20%2F&q=a+b%0D%0AX:%20y&tag=[b]",
        "/v1/items/0198c5f2%2d0000-7000-8000-000000000000",
    ):
        answer = await http.get(on(acme.slug, target))
        assert (answer.status_code, answer.headers["location"]) == (308, on(new, target))
        assert answer.headers["cache-control"] == "no-store"


async def test_every_method_is_sent_on_whatever_the_body(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    row, new = await item(process, acme), await rename(http, process, acme)
    path = f"/v1/items/{row.id}"
    for method in ("GET", "PATCH", "DELETE", "OPTIONS"):
        assert await where(http, on(acme.slug, path), method, content=b"{not json") == on(new, path)
    for path in ("/v1/items", "/v1/auth/login", "/oauth/token"):
        assert await where(http, on(acme.slug, path), "POST", content=b"{not json") == on(new, path)
    headers = await bearer(process, acme)
    assert (await http.get(on(new, f"/v1/items/{row.id}"), headers=headers)).status_code == 200


async def test_no_credential_is_looked_at_before_a_request_is_sent_on(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    key = await api_key(process, acme)
    new = await rename(http, process, acme)
    for headers in (
        {},
        {"Authorization": "Bearer not-a-token"},
        {"Authorization": "Bearer lh_key_nothing"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": f"Bearer {key.key}"},
        await bearer(process, acme),
        await bearer(process, acme, "users:read"),
        await bearer(process, globex),
        {**await bearer(process, globex), "X-Tenant": globex.slug},
        {"X-Tenant": "nobody"},
    ):
        assert await where(http, on(acme.slug, "/v1/items"), headers=headers) == on(new, "/v1/items")


async def test_the_port_stays_and_the_scheme_is_that_of_the_issuer(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    new = await rename(http, process, acme)
    for host, location in {
        f"{acme.slug}.leasehold.test:8443": f"https://{new}.leasehold.test:8443/v1/me",
        f"{acme.slug}.LEASEHOLD.test.": f"https://{new}.leasehold.test/v1/me",
        f"{acme.slug}.leasehold.test:80@evil.example": f"https://{new}.leasehold.test/v1/me",
        f"{acme.slug}.leasehold.test:123456": f"https://{new}.leasehold.test/v1/me",
    }.items():
        sent = {"Host": host, "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}
        assert await where(http, "/v1/me", headers=sent) == location


async def test_all_former_slugs_of_a_tenant_lead_to_the_one_it_has_now(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    second = await rename(http, process, acme)
    third = await rename(http, process, acme)
    for slug in (acme.slug, second):
        assert await where(http, on(slug, "/v1/me")) == on(third, "/v1/me")


async def test_a_tenant_can_take_its_former_slug_back_which_then_answers_itself(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, second = await bearer(process, acme), await rename(http, process, acme)
    await rename(http, process, acme, acme.slug)
    assert (await http.get(on(acme.slug, "/v1/me"), headers=headers)).status_code == 200
    assert await kept(process, acme.slug) == 0
    assert await where(http, on(second, "/v1/me")) == on(acme.slug, "/v1/me")


async def test_a_rename_to_the_same_slug_or_of_the_name_alone_leaves_no_former_slug(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    for change in ({"slug": acme.slug}, {"name": "Acme again"}):
        answer = await http.patch(f"{TENANTS}/{acme.id}", headers=await admin(process), json=change)
        assert answer.status_code == 200
    assert await kept(process, acme.slug) == 0


async def test_a_former_slug_is_taken_for_everybody_else(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    new, headers = await rename(http, process, acme), await admin(process)
    for refused in (
        await http.patch(f"{TENANTS}/{globex.id}", headers=headers, json={"slug": acme.slug}),
        await http.post(TENANTS, headers=headers, json={"slug": acme.slug, "name": "Another"}),
    ):
        assert refusal_of(refused) == (409, "slug-taken")
        assert pointers_of(refused) == ["/slug"]
    assert await where(http, on(acme.slug, "/v1/me")) == on(new, "/v1/me")
    answer = await http.get(on(globex.slug, "/v1/me"), headers=await bearer(process, globex))
    assert answer.json()["tenant"]["slug"] == globex.slug


async def test_the_header_does_not_take_a_former_slug_and_is_not_told_the_new_one(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers, new = await bearer(process, acme), await rename(http, process, acme)
    for sent in ({**headers, "X-Tenant": acme.slug}, {"X-Tenant": acme.slug}):
        refused = await http.get("/v1/me", headers=sent)
        assert refusal_of(refused) == (404, "unknown-tenant")
        assert new not in refused.text
    assert (await http.get("/v1/me", headers={**headers, "X-Tenant": new})).status_code == 200


async def test_another_tenant_that_takes_a_slug_after_its_time_shares_nothing_with_who_had_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    own = await item(process, globex, "Only Globex")
    new = await rename(http, process, acme)
    await end_after(process, acme.id, 0)
    assert refusal_of(await http.get(on(acme.slug, "/v1/items"), headers=ours)) == (404, "unknown-tenant")
    await rename(http, process, globex, acme.slug)
    refused = await http.get(on(acme.slug, "/v1/items"), headers=ours)
    assert refusal_of(refused) == (403, "tenant-mismatch")
    assert refusal_of(await http.get(on(acme.slug, "/v1/items"))) == (401, "unauthenticated")
    listed = await http.get(on(acme.slug, "/v1/items"), headers=theirs)
    assert [row["id"] for row in listed.json()["items"]] == [str(own.id)]
    assert await where(http, on(globex.slug, "/v1/items"), headers=ours) == on(acme.slug, "/v1/items")
    assert (await http.get(on(new, "/v1/items"), headers=ours)).json()["items"] == []


async def test_a_new_tenant_can_have_a_slug_whose_time_is_over(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await rename(http, process, acme)
    await end_after(process, acme.id, 0)
    heir = await provisioned(process, acme.slug)
    answer = await http.get(on(acme.slug, "/v1/me"), headers=await bearer(process, heir))
    assert answer.json()["tenant"]["id"] == str(heir.id)
    refused = await http.get(on(acme.slug, "/v1/me"), headers=await bearer(process, acme))
    assert refusal_of(refused) == (403, "tenant-mismatch")


async def test_the_time_of_a_former_slug_ends_by_the_clock_although_nobody_says_so(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await rename(http, process, acme)
    await end_after(process, acme.id, 3600)
    assert await where(http, on(acme.slug, "/v1/me")) == on(new, "/v1/me")
    for module in (directory, feed):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3600))
    await process.feed.caught_up()  # or the directory would be too old to be asked
    assert refusal_of(await http.get(on(acme.slug, "/v1/me"))) == (404, "unknown-tenant")
    assert await kept(process, acme.slug) == 1
    monkeypatch.undo()
    await process.feed.caught_up()  # the directory of all tests is not of the future any more


async def test_former_slugs_whose_time_is_over_are_forgotten_and_others_stay(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    await rename(http, process, acme)
    new = await rename(http, process, globex)
    await end_after(process, acme.id, 0)
    async with platform_session(process.database) as session:
        await tidy_up.function(NoArguments(), session)  # type: ignore[attr-defined]
    assert (await kept(process, acme.slug), await kept(process, globex.slug)) == (0, 1)
    assert await where(http, on(globex.slug, "/v1/me")) == on(new, "/v1/me")


async def test_the_former_slug_of_a_tenant_that_is_not_served_tells_nobody_the_new_one(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    names = await rename(http, process, acme), await rename(http, process, globex)
    await http.put(f"{TENANTS}/{acme.id}/suspension", headers=headers)
    await http.delete(f"{TENANTS}/{globex.id}", headers=headers)
    suspended = await http.get(on(acme.slug, "/v1/me"))
    assert refusal_of(suspended) == (403, "tenant-suspended")
    deleted = await http.get(on(globex.slug, "/v1/me"))
    assert refusal_of(deleted) == (404, "unknown-tenant")
    for answer in (suspended, deleted):
        assert "location" not in answer.headers
        assert not any(name in answer.text for name in names)
    taken = await http.post(TENANTS, headers=headers, json={"slug": globex.slug, "name": "Another"})
    assert refusal_of(taken) == (409, "slug-taken")
    await http.delete(f"{TENANTS}/{acme.id}/suspension", headers=headers)
    await http.post(f"{TENANTS}/{globex.id}/restore", headers=headers)
    for tenant, name in zip((acme, globex), names, strict=True):
        assert await where(http, on(tenant.slug, "/v1/me")) == on(name, "/v1/me")


@pytest.mark.parametrize("path", ["/platform/v1/tenants", "/v1/nothing-here"])
async def test_what_no_tenant_has_is_not_there_on_the_host_of_a_former_slug(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, path: str
) -> None:
    await rename(http, process, acme)
    answer = await http.get(on(acme.slug, path), headers=await admin(process))
    assert refusal_of(answer) == (404, "not-found")
    assert "location" not in answer.headers


@pytest.mark.not_pooled("holds two transactions at once")
async def test_who_waits_for_a_slug_that_is_just_given_up_does_not_get_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, new = await admin(process), new_slug()
    async with platform_session(process.database) as session:
        service = TenantService(
            session, process.provisioner, base_domain="leasehold.test", vacancies=0, former_slug_seconds=60
        )
        await service.change(acme.id, TenantPatch(slug=new), by=OPERATOR)
        asked = [
            asyncio.create_task(http.post(TENANTS, headers=headers, json={"slug": acme.slug, "name": "Another"})),
            asyncio.create_task(http.patch(f"{TENANTS}/{globex.id}", headers=headers, json={"slug": acme.slug})),
        ]
        async with asyncio.timeout(30):
            while await session.scalar(text(WAITING)) != 2:
                await asyncio.sleep(0.01)
    assert [refusal_of(await one) for one in asked] == [(409, "slug-taken")] * 2
    await process.feed.caught_up()
    assert await where(http, on(acme.slug, "/v1/me")) == on(new, "/v1/me")


@pytest.mark.not_pooled("holds two transactions at once")
async def test_who_takes_a_slug_back_is_before_all_who_want_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    await rename(http, process, acme)
    async with platform_session(process.database) as session:
        service = TenantService(
            session, process.provisioner, base_domain="leasehold.test", vacancies=0, former_slug_seconds=60
        )
        await service.change(acme.id, TenantPatch(slug=acme.slug), by=OPERATOR)
        asked = [
            asyncio.create_task(http.post(TENANTS, headers=headers, json={"slug": acme.slug, "name": "Another"})),
            asyncio.create_task(http.patch(f"{TENANTS}/{globex.id}", headers=headers, json={"slug": acme.slug})),
        ]
        async with asyncio.timeout(30):
            while await session.scalar(text(WAITING)) != 2:
                await asyncio.sleep(0.01)
    assert [refusal_of(await one) for one in asked] == [(409, "slug-taken")] * 2
    await process.feed.caught_up()
    assert (await http.get(on(acme.slug, "/v1/me"), headers=await bearer(process, acme))).status_code == 200


async def test_of_a_rename_away_and_others_who_want_the_slug_at_once_nobody_gets_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    for _ in range(5):
        wanted = process.directory.by_id(acme.id)
        assert wanted is not None
        new = new_slug()
        answers = await asyncio.gather(
            http.post(TENANTS, headers=headers, json={"slug": wanted.slug, "name": "Another"}),
            http.patch(f"{TENANTS}/{globex.id}", headers=headers, json={"slug": wanted.slug}),
            http.patch(f"{TENANTS}/{acme.id}", headers=headers, json={"slug": new}),
        )
        assert [answer.status_code for answer in answers] == [409, 409, 200]
        assert await where(http, on(wanted.slug, "/v1/me")) == on(new, "/v1/me")


async def test_of_several_who_want_a_slug_whose_time_is_over_one_gets_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    await rename(http, process, acme)
    await end_after(process, acme.id, 0)
    headers = await admin(process)
    answers = await asyncio.gather(
        http.patch(f"{TENANTS}/{acme.id}", headers=headers, json={"slug": acme.slug}),
        http.patch(f"{TENANTS}/{globex.id}", headers=headers, json={"slug": acme.slug}),
        http.post(TENANTS, headers=headers, json={"slug": acme.slug, "name": "Another"}),
        http.post(TENANTS, headers=headers, json={"slug": acme.slug, "name": "A third"}),
    )
    assert sorted(answer.status_code // 100 for answer in answers) == [2, 4, 4, 4]
    assert {refusal_of(answer) for answer in answers if answer.status_code >= 400} == {(409, "slug-taken")}


async def test_two_tenants_that_want_to_swap_their_slugs_at_once_are_both_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    answers = await asyncio.gather(
        http.patch(f"{TENANTS}/{acme.id}", headers=headers, json={"slug": globex.slug}),
        http.patch(f"{TENANTS}/{globex.id}", headers=headers, json={"slug": acme.slug}),
    )
    first, second = sorted(refusal_of(answer) for answer in answers)
    assert first == (409, "slug-taken")
    # Each may come to wait for what the other does with the slug; then PostgreSQL lets one of them give way.
    assert second in {(409, "slug-taken"), (503, "too-slow")}
    for tenant in (acme, globex):
        assert (await http.get(f"{TENANTS}/{tenant.id}", headers=headers)).json()["slug"] == tenant.slug
