"""`/platform/v1/tenants`: provisioning, renaming and the states of a tenant, and what its clients see of them."""

from uuid import UUID

import httpx
import psycopg
import pytest

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.platform.tenants.schemas import TenantPatch
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy import states
from leasehold.tenancy.context import TenantRef
from tests.api.problems import on, pointers_of, problem_of, refusal_of
from tests.factories import OPERATOR, admin, bearer, item, new_slug
from tests.people import login, user

TENANTS = "/platform/v1/tenants"
NOBODY = "0198c5f2-0000-7000-8000-000000000000"


def footprint(settings: Settings) -> list[tuple[object, ...]]:
    """Return the tenants, the schemas, and the roles with rights, of the database of this test."""
    assert settings.owner_url is not None
    with psycopg.connect(settings.owner_url.get_secret_value()) as connection:
        return [
            *connection.execute("SELECT id, slug, name, state, updated_at FROM platform.tenants ORDER BY id"),
            *connection.execute("SELECT nspname FROM pg_namespace ORDER BY nspname"),
            *connection.execute(
                "SELECT DISTINCT refobjid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass"
                " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY refobjid"
            ),
        ]


async def test_a_provisioned_tenant_is_ready_and_empty_and_apart(
    http: httpx.AsyncClient, process: Process, globex: TenantRef
) -> None:
    await item(process, globex)
    headers, slug = await admin(process), new_slug()
    made = await http.post(TENANTS, headers=headers, json={"slug": slug, "name": "Initech"})
    assert made.status_code == 201
    body = made.json()
    times = {"created_at", "updated_at", "deleted_at", "purge_at", "maintenance_ends_at", "deletion_requested_at"}
    assert set(body) == {"id", "slug", "name", "state", "revision", "is_canary", "is_read_only", "plan"} | times
    assert (body["slug"], body["name"], body["state"], body["deleted_at"]) == (slug, "Initech", "active", None)
    assert (await http.get(f"{TENANTS}/{body['id']}", headers=headers)).json() == body
    tenant = process.directory.by_slug(slug)
    assert tenant is not None
    await user(process, tenant, "sam@initech.example")
    assert (await login(http, tenant, "sam@initech.example")).status_code == 200
    assert (await http.get(on(slug, "/v1/items"), headers=await bearer(process, tenant))).json()["items"] == []


async def test_a_slug_that_is_taken_is_409_and_leaves_nothing(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    headers, before = await admin(process), footprint(settings)
    for tenant in (acme, globex):
        refused = await http.post(TENANTS, headers=headers, json={"slug": tenant.slug, "name": "Again"})
        assert refusal_of(refused) == (409, "slug-taken")
        assert pointers_of(refused) == ["/slug"]
    assert footprint(settings) == before


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "Acme",
        "ACME",
        "a" * 64,
        "9lives",
        "-acme",
        "acme-",
        "a--b",
        "xn--bcher-kva",
        "ac me",
        " acme",
        "acme\n",
        "acme\0",
        "ac.me",
        "ac_me",
        "acmé",
        "\u0430cme",  # the first letter is Cyrillic
        "www",
        "api",
        "platform",
        "admin",
        "public",
        "a'b",
        'a"b',
        "a; DROP SCHEMA platform CASCADE; --",
        "' OR '1'='1",
        'acme"; DROP TABLE platform.tenants; --',
        "../acme",
        "a" * 10_000,
    ],
)
async def test_a_slug_that_cannot_be_one_is_pointed_at_and_leaves_nothing(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef, slug: str
) -> None:
    headers, before = await admin(process), footprint(settings)
    for answer in (
        await http.post(TENANTS, headers=headers, json={"slug": slug, "name": "Acme"}),
        await http.patch(f"{TENANTS}/{acme.id}", headers=headers, json={"slug": slug}),
        await http.patch(f"{TENANTS}/{globex.id}", headers=headers, json={"slug": slug}),
    ):
        assert answer.status_code == 422
        assert pointers_of(answer) == ["/slug"]
    assert footprint(settings) == before


@pytest.mark.parametrize("slug", ["a", "a" * 63, "a-b-c", "a9"])
async def test_the_ends_of_what_a_slug_may_be_are_slugs(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, slug: str
) -> None:
    headers = await admin(process)
    renamed = await http.patch(f"{TENANTS}/{acme.id}", headers=headers, json={"slug": slug})
    assert renamed.json()["slug"] == slug
    assert (await http.get(on(slug, "/v1/me"), headers=await bearer(process, acme))).status_code == 200
    await http.patch(f"{TENANTS}/{acme.id}", headers=headers, json={"slug": new_slug()})


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/name", "/slug"]),
        ({"slug": "acme"}, ["/name"]),
        ({"slug": 1, "name": 2}, ["/name", "/slug"]),
        ({"slug": "acme", "name": ""}, ["/name"]),
        ({"slug": "acme", "name": "x" * 201}, ["/name"]),
        ({"slug": "acme", "name": "a\0b"}, ["/name"]),
        ({"slug": "acme", "name": "Acme", "schema": "public", "id": NOBODY}, ["/id", "/schema"]),
        ([{"slug": "acme", "name": "Acme"}], [""]),
    ],
)
async def test_every_fault_of_a_new_tenant_is_pointed_at_and_leaves_nothing(
    http: httpx.AsyncClient, process: Process, settings: Settings, body: object, pointers: list[str]
) -> None:
    headers, before = await admin(process), footprint(settings)
    refused = await http.post(TENANTS, headers=headers, json=body)
    assert refusal_of(refused) == (422, "validation-failed")
    assert pointers_of(refused) == pointers
    assert footprint(settings) == before


async def test_a_slug_and_a_name_that_are_both_wrong_are_both_pointed_at(
    http: httpx.AsyncClient, process: Process
) -> None:
    refused = await http.post(TENANTS, headers=await admin(process), json={"slug": "Acme!", "name": ""})
    assert pointers_of(refused) == ["/name", "/slug"]


async def test_pages_show_every_tenant_once_in_the_order_they_were_made(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    # Other tests leave tenants, and workers vacancies, which are nobody's.
    there_are = [str(row[0]) for row in footprint(settings) if len(row) == 5 and row[3] not in states.NOBODY]
    limit = min(max(len(there_are) // 20, 1), 100)  # one by one, thousands are more requests than a client may send
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await http.get(TENANTS, headers=headers, params={"limit": limit, **cursor})).json()
        assert len(page["items"]) <= limit
        seen += [row["id"] for row in page["items"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == there_are
    assert seen[-2:] == [str(acme.id), str(globex.id)]


async def test_the_list_of_tenants_takes_its_own_cursors_and_limits_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    for tenant in (acme, globex):
        await item(process, tenant)
        await item(process, tenant)
        page = (await http.get("/v1/items?limit=1", headers=await bearer(process, tenant))).json()
        foreign = await http.get(TENANTS, headers=headers, params={"cursor": page["next_cursor"]})
        assert refusal_of(foreign) == (422, "invalid-cursor")
    for limit in ("0", "101", "abc"):
        assert pointers_of(await http.get(TENANTS, headers=headers, params={"limit": limit})) == ["?limit"]


async def test_a_renamed_tenant_answers_under_its_new_slug_with_its_old_data(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    kept, new = await item(process, acme, "Kept"), new_slug()
    headers = await bearer(process, acme)
    renamed = await http.patch(
        f"{TENANTS}/{acme.id}", headers=await admin(process), json={"slug": new, "name": "Renamed"}
    )
    assert (renamed.json()["slug"], renamed.json()["name"], renamed.json()["id"]) == (new, "Renamed", str(acme.id))
    assert (await http.get(on(acme.slug, "/v1/items"), headers=headers)).headers["location"] == on(new, "/v1/items")
    listed = (await http.get(on(new, "/v1/items"), headers=headers)).json()
    assert [row["id"] for row in listed["items"]] == [str(kept.id)]
    assert (await http.get("/v1/me", headers=headers)).json()["tenant"]["slug"] == new
    assert (await http.get(on(globex.slug, "/v1/me"), headers=await bearer(process, globex))).status_code == 200


async def test_where_slugs_are_kept_for_no_time_another_tenant_can_take_one_at_once(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    async with platform_session(process.database) as session:
        service = TenantService(
            session, process.provisioner, base_domain="leasehold.test", vacancies=0, former_slug_seconds=0
        )
        await service.change(acme.id, TenantPatch(slug=new_slug()), by=OPERATOR)
    await process.feed.caught_up()
    assert refusal_of(await http.get(on(acme.slug, "/v1/me"))) == (404, "unknown-tenant")
    taken = await http.patch(f"{TENANTS}/{globex.id}", headers=headers, json={"slug": acme.slug})
    assert taken.json()["slug"] == acme.slug
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    assert refusal_of(await http.get(on(acme.slug, "/v1/me"), headers=ours)) == (403, "tenant-mismatch")
    assert (await http.get(on(acme.slug, "/v1/me"), headers=theirs)).json()["tenant"]["id"] == str(globex.id)


async def test_a_tenant_cannot_be_renamed_to_the_slug_of_another(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    refused = await http.patch(f"{TENANTS}/{acme.id}", headers=headers, json={"slug": globex.slug})
    assert refusal_of(refused) == (409, "slug-taken")
    assert pointers_of(refused) == ["/slug"]
    assert (await http.get(f"{TENANTS}/{acme.id}", headers=headers)).json()["slug"] == acme.slug


async def test_an_empty_change_and_a_change_to_the_same_change_nothing(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    for tenant in (acme, globex):
        for body in ({}, {"slug": tenant.slug, "name": "A tenant"}):
            changed = await http.patch(f"{TENANTS}/{tenant.id}", headers=headers, json=body)
            assert changed.status_code == 200, changed.text
            assert (changed.json()["slug"], changed.json()["name"]) == (tenant.slug, "A tenant")


async def test_a_suspension_ends_the_service_and_its_end_resumes_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, ours, theirs = await admin(process), await bearer(process, acme), await bearer(process, globex)
    address = f"{TENANTS}/{acme.id}/suspension"
    for _ in range(2):
        suspended = await http.put(address, headers=headers)
        assert (suspended.status_code, suspended.json()["state"]) == (200, "suspended")
        assert refusal_of(await http.get("/v1/items", headers=ours)) == (403, "tenant-suspended")
        assert (await http.get("/v1/items", headers=theirs)).status_code == 200
    for _ in range(2):
        resumed = await http.delete(address, headers=headers)
        assert (resumed.status_code, resumed.json()["state"]) == (200, "active")
        assert (await http.get("/v1/items", headers=ours)).status_code == 200


async def test_a_suspended_tenant_can_be_renamed_and_stays_suspended(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, new = await admin(process), new_slug()
    await http.put(f"{TENANTS}/{acme.id}/suspension", headers=headers)
    renamed = await http.patch(f"{TENANTS}/{acme.id}", headers=headers, json={"slug": new})
    assert renamed.json()["state"] == "suspended"
    refused = await http.get(on(new, "/v1/me"), headers=await bearer(process, acme))
    assert refusal_of(refused) == (403, "tenant-suspended")
    assert (await http.get(on(globex.slug, "/v1/me"), headers=await bearer(process, globex))).status_code == 200


async def test_a_deleted_tenant_is_served_no_more_and_keeps_its_slug(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    assert (await http.delete(f"{TENANTS}/{acme.id}", headers=headers)).status_code == 204
    kept = (await http.get(f"{TENANTS}/{acme.id}", headers=headers)).json()
    assert (kept["state"], kept["slug"]) == ("deleted", acme.slug)
    assert kept["deleted_at"] is not None
    answer = await http.post(on(acme.slug, "/oauth/token"), data={"grant_type": "client_credentials"})
    assert refusal_of(answer) == (404, "unknown-tenant")
    again = await http.post(TENANTS, headers=headers, json={"slug": acme.slug, "name": "Again"})
    assert refusal_of(again) == (409, "slug-taken")
    assert (await http.get("/v1/me", headers=await bearer(process, globex))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/suspension", None),
        ("DELETE", "/suspension", None),
        ("DELETE", "", None),
        ("PATCH", "", {"name": "Back"}),
        ("POST", "/domains", {"hostname": "app.deleted.example"}),
    ],
)
async def test_a_deleted_tenant_is_in_the_wrong_state_for_everything(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    globex: TenantRef,
    method: str,
    path: str,
    body: dict[str, str] | None,
) -> None:
    headers = await admin(process)
    await http.delete(f"{TENANTS}/{acme.id}", headers=headers)
    refused = await http.request(method, f"{TENANTS}/{acme.id}{path}", headers=headers, json=body)
    assert refusal_of(refused) == (409, "wrong-state")
    assert "deleted" in problem_of(refused)["detail"]
    assert (await http.get(f"{TENANTS}/{globex.id}", headers=headers)).json()["state"] == "active"


@pytest.mark.parametrize("tenant_id", [NOBODY, "acme", "1", "0198c5f2"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"name": "New"}),
        ("DELETE", "", None),
        ("PUT", "/suspension", None),
        ("DELETE", "/suspension", None),
        ("POST", "/domains", {"hostname": "app.nobody.example"}),
        ("DELETE", "/domains/app.nobody.example", None),
    ],
)
async def test_an_id_that_is_none_or_unknown_is_404(
    http: httpx.AsyncClient, process: Process, tenant_id: str, method: str, path: str, body: dict[str, str] | None
) -> None:
    headers = await admin(process)
    refused = await http.request(method, f"{TENANTS}/{tenant_id}{path}", headers=headers, json=body)
    assert refusal_of(refused) == (404, "not-found")


async def test_who_may_only_read_cannot_write_and_the_other_way_round(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    reader, writer = await admin(process, "platform:tenants:read"), await admin(process, "platform:tenants:write")
    before = footprint(settings)
    for tenant in (acme, globex):
        address = f"{TENANTS}/{tenant.id}"
        for method, url, body in (
            ("POST", TENANTS, {"slug": new_slug(), "name": "New"}),
            ("PATCH", address, {"name": "New"}),
            ("DELETE", address, None),
            ("PUT", f"{address}/suspension", None),
            ("DELETE", f"{address}/suspension", None),
            ("POST", f"{address}/domains", {"hostname": "app.new.example"}),
            ("DELETE", f"{address}/domains/app.new.example", None),
        ):
            refused = await http.request(method, url, headers=reader, json=body)
            assert refusal_of(refused) == (403, "insufficient-scope"), (method, url)
            assert 'scope="platform:tenants:write"' in refused.headers["www-authenticate"]
        for url in (TENANTS, address):
            refused = await http.get(url, headers=writer)
            assert refusal_of(refused) == (403, "insufficient-scope")
            assert 'scope="platform:tenants:read"' in refused.headers["www-authenticate"]
            assert (await http.get(url, headers=reader)).status_code == 200
    assert footprint(settings) == before


async def test_the_platform_is_not_there_on_the_host_of_a_tenant(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    for host in (acme.slug, globex.slug, "nobody", "www"):
        assert refusal_of(await http.get(on(host, TENANTS), headers=headers)) == (404, "not-found")
    other = await http.get("https://elsewhere.example/platform/v1/tenants", headers=headers)
    assert refusal_of(other) == (404, "not-found")


async def test_ids_of_tenants_are_time_ordered_uuids(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process)
    ids = [UUID((await http.get(f"{TENANTS}/{tenant.id}", headers=headers)).json()["id"]) for tenant in (acme, globex)]
    assert [made.version for made in ids] == [7, 7]
    assert ids[0] < ids[1]
