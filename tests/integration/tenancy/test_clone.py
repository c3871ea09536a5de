"""Copies of tenants: what they have, what they have not, and that nothing of it lets anybody in."""

import asyncio
from collections.abc import Generator
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from leasehold.config import Settings
from leasehold.core.database import driver_url, platform_session
from leasehold.core.errors import Problem
from leasehold.core.ids import new_id
from leasehold.core.models import TenantModel
from leasehold.core.personal import extent_of
from leasehold.platform.clones.jobs import AskedClone, make_clone
from leasehold.platform.tenants.schemas import TenantPatch
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy import clone
from leasehold.tenancy.clone import Cloned, SourceNotMigrated
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.tenancy.provision import SlugTaken
from leasehold.tenancy.states import WrongTenantState
from tests.api.problems import on, refusal_of
from tests.archives import purged
from tests.audit import events_of
from tests.factories import OPERATOR, admin, api_client, api_key, bearer, lifecycle, new_slug, provisioned, until
from tests.people import PASSWORD, headers_of, logged_in, user

WHO = "zaphod"
"""Somebody who stands wherever people can be named."""
PLANTED = """
UPDATE users SET name = 'Zaphod Beeblebrox';
UPDATE api_clients SET name = 'Laptop of Zaphod';
UPDATE api_keys SET name = 'Zaphod''s key';
INSERT INTO items (id, title, description, tags, owner_id, created_at, updated_at)
SELECT gen_random_uuid(), 'Call Zaphod', 'at zaphod@heart.example', ARRAY['zaphod'], id, now(), now() FROM users;
INSERT INTO tenant_settings (id, registration, created_at, updated_at)
VALUES (gen_random_uuid(), 'open', now(), now());
INSERT INTO invitations (id, email, role, expires_at, created_at, updated_at)
VALUES (gen_random_uuid(), 'zaphod@betelgeuse.example', 'member', now(), now(), now());
INSERT INTO idempotency_keys (id, subject, key, fingerprint, status, headers, body, created_at)
VALUES (gen_random_uuid(), gen_random_uuid(), 'zaphod', 'x', 200, '{}', 'zaphod', now());
INSERT INTO confirmations (id, user_id, purpose, email, digest, expires_at, created_at)
SELECT gen_random_uuid(), id, 'email', 'zaphod@new.example', 'x', now(), now() FROM users;
"""
LATE = """
WITH late AS (
    INSERT INTO users (id, email, role, created_at, updated_at)
    VALUES (%s, 'late@acme.example', 'member', now(), now()) RETURNING id
)
INSERT INTO items (id, title, owner_id, created_at, updated_at) SELECT id, 'Late', NULL, now(), now() FROM late
"""
_WAITS_FOR_A_TRANSACTION = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'
"""
NAMED = {
    "api_clients",
    "api_keys",
    "audit_events",
    "confirmations",
    "idempotency_keys",
    "invitations",
    "items",
    "users",
}
COPIED = {"api_clients", "api_keys", "audit_events", "items", "tenant_settings", "users"}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a slug that another copy may get waits until that is made, however busy the machine is."""
    monkeypatch.setattr(clone, "_LOCK_TIMEOUT", "60s")


@pytest.fixture
def owner(settings: Settings) -> Generator[Any]:
    assert settings.owner_url is not None
    with psycopg.connect(driver_url(settings.owner_url.get_secret_value()), autocommit=True) as connection:
        yield connection


@pytest.fixture
async def source(process: Process, owner: Any) -> TenantRef:
    """A tenant with a user, a client and a key, in which somebody is named everywhere."""
    tenant = await provisioned(process)
    await user(process, tenant, "zaphod@heart.example", "owner")
    await api_key(process, tenant)
    owner.execute(f'SET search_path = "{tenant.schema}"')
    owner.execute(PLANTED)
    changes = {"title": {"from": "Zaphod", "to": [{"deep": "zaphod@heart.example"}]}}
    owner.execute(
        "INSERT INTO audit_events (id, created_at, actor_kind, action, outcome, reason, request_id, changes)"
        " VALUES (%s, now(), 'system', 'user.renamed', 'succeeded', 'Zaphod asked', 'zaphod-1', %s)",
        [new_id(), Jsonb(changes)],
    )
    return tenant


def tables_that_name(owner: Any, schema: str, text: str) -> set[str]:
    """Return the tables of a schema that have a text in any column, as it is or as the bytes that it is."""
    tables = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall()
    found = f'SELECT EXISTS (SELECT FROM "{schema}"."{{}}" t WHERE t::text ILIKE %s OR t::text LIKE %s)'
    sought = [f"%{text}%", f"%{text.encode().hex()}%"]
    return {table for (table,) in tables if owner.execute(found.format(table), sought).fetchone()[0]}


def rows_of(owner: Any, schema: str, table: str, columns: str = "*") -> list[Any]:
    return list(owner.execute(f'SELECT {columns} FROM "{schema}"."{table}" ORDER BY id').fetchall())


async def cloned(process: Process, source: TenantRef, *, is_scrubbed: bool, **more: Any) -> Cloned:
    slug = more.pop("slug", None) or new_slug()
    made = await process.cloner.clone(
        source.id, tenant_id=new_id(), slug=slug, name=slug, is_scrubbed=is_scrubbed, by=OPERATOR, **more
    )
    await until(lambda: process.directory.by_id(made.tenant.id) is not None)
    return made


async def test_a_scrubbed_copy_names_nobody_and_has_as_many_rows(
    process: Process, settings: Settings, owner: Any, source: TenantRef
) -> None:
    assert tables_that_name(owner, source.schema, WHO) == NAMED
    made = await cloned(process, source, is_scrubbed=True)
    schema = made.tenant.schema
    for named in (WHO, "heart.example", "Beeblebrox", source.slug):
        assert tables_that_name(owner, schema, named) == set(), named
    assert set(made.rows) == COPIED
    for table in COPIED - {"audit_events"}:
        before, after = (rows_of(owner, one, table, "id") for one in (source.schema, schema))
        assert len(after) == made.rows[table] >= 1
        assert after == before
    ((user_id, email, name, password_hash),) = rows_of(owner, schema, "users", "id, email, name, password_hash")
    assert email == f"user-{user_id.hex}@example.invalid"
    assert (name, password_hash) == (f"User {str(user_id)[-4:]}", None)
    ((item_id, title, description, tags, owner_id),) = rows_of(
        owner, schema, "items", "id, title, description, tags, owner_id"
    )
    assert (title, description, tags, owner_id) == (f"Item {str(item_id)[-4:]}", "", [], user_id)
    actions = [event["action"] for event in events_of(settings, source)]
    assert actions[-1] == "tenant.cloned"
    copied = events_of(settings, made.tenant)
    assert [event["action"] for event in copied] == actions
    told = {"source_id": {"from": None, "to": str(source.id)}, "is_scrubbed": {"from": None, "to": True}}
    assert [event["changes"] for event in copied] == [{}] * (len(actions) - 1) + [told]
    assert events_of(settings, None, action="tenant.cloned")[-1] == copied[-1]


async def test_a_copy_has_what_its_source_has_but_domains_jobs_mail_and_secrets(
    process: Process, owner: Any, source: TenantRef
) -> None:
    owner.execute(
        "INSERT INTO platform.tenant_domains (id, tenant_id, hostname, created_at) VALUES (%s, %s, %s, now())",
        [new_id(), source.id, f"{source.slug}.example"],
    )
    owner.execute("UPDATE platform.tenants SET limits = '{\"items\": 7}', is_canary = true WHERE id = %s", [source.id])
    made = await cloned(process, source, is_scrubbed=False)
    schema = made.tenant.schema
    assert rows_of(owner, schema, "items") == rows_of(owner, source.schema, "items")
    people = "id, email, name, role, is_active, created_at"
    assert rows_of(owner, schema, "users", people) == rows_of(owner, source.schema, "users", people)
    for table in TenantModel.metadata.sorted_tables:
        if extent_of(table) != "everywhere" and table.name != "tenant_secrets":
            assert rows_of(owner, schema, table.name) == [], table
    ours, theirs = (rows_of(owner, one, "tenant_secrets", "wrapped") for one in (schema, source.schema))
    assert len(ours) == 1
    assert ours != theirs
    for count in ("platform.tenant_domains", "platform.jobs"):
        assert owner.execute(f"SELECT count(*) FROM {count} WHERE tenant_id = %s", [made.tenant.id]).fetchone() == (0,)
    terms = owner.execute("SELECT limits, is_canary FROM platform.tenants WHERE id = %s", [made.tenant.id]).fetchone()
    assert terms == ({"items": 7}, False)


@pytest.mark.parametrize("is_scrubbed", [True, False])
async def test_no_credential_of_either_lets_anybody_into_the_other(
    http: httpx.AsyncClient, process: Process, owner: Any, *, is_scrubbed: bool
) -> None:
    source = await provisioned(process)
    await user(process, source, "ann@acme.example", "owner")
    client, key = await api_client(process, source), await api_key(process, source)
    session = await logged_in(http, source, "ann@acme.example")
    copy = (await cloned(process, source, is_scrubbed=is_scrubbed)).tenant

    form = {
        "grant_type": "client_credentials",
        "client_id": str(client.client_id),
        "client_secret": client.client_secret,
    }
    assert (await http.post(on(source.slug, "/oauth/token"), data=form)).status_code == 200
    assert (await http.post(on(copy.slug, "/oauth/token"), data=form)).json()["error"] == "invalid_client"
    account = {"email": "ann@acme.example", "password": PASSWORD}
    assert (await http.post(on(copy.slug, "/v1/auth/login"), json=account)).status_code == 401
    renewal = {"refresh_token": session["refresh_token"]}
    assert (await http.post(on(copy.slug, "/v1/auth/refresh"), json=renewal)).status_code in {401, 403}
    for headers in (headers_of(session), {"Authorization": f"Bearer {key.key}"}):
        assert (await http.get(on(source.slug, "/v1/items"), headers=headers)).status_code == 200
        assert refusal_of(await http.get(on(copy.slug, "/v1/items"), headers=headers)) == (403, "tenant-mismatch")
    for headers in (await bearer(process, copy), {"Authorization": f"Bearer {(await api_key(process, copy)).key}"}):
        assert (await http.get(on(copy.slug, "/v1/items"), headers=headers)).status_code == 200
        assert refusal_of(await http.get(on(source.slug, "/v1/items"), headers=headers)) == (403, "tenant-mismatch")
    for table, columns in (
        ("api_keys", ("digest", "previous_digest")),
        ("api_clients", ("secret_digest", "previous_secret_digest")),
    ):
        for column in columns:
            before, after = (rows_of(owner, one.schema, table, column) for one in (source, copy))
            assert not {value for (value,) in before if value} & {value for (value,) in after if value}


async def test_a_copy_is_of_one_moment_whatever_is_written_meanwhile(
    process: Process, owner: Any, source: TenantRef
) -> None:
    """Each user has one item, also those who come between the copying of users and of items."""

    def write_meanwhile(table: str, _rows: int) -> None:
        if table == "users":
            owner.execute(
                LATE,
                [new_id()],
            )

    made = await cloned(process, source, is_scrubbed=False, report=write_meanwhile)
    assert (made.rows["users"], made.rows["items"]) == (1, 1)
    assert len(rows_of(owner, source.schema, "items")) == 2


async def test_what_cannot_be_copied_now_is_refused_and_leaves_nothing(
    process: Process, owner: Any, source: TenantRef, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def schemas() -> Any:
        return owner.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%%'").fetchone()

    before = schemas()
    with pytest.raises(SlugTaken):
        await cloned(process, source, is_scrubbed=True, slug=acme.slug)
    owner.execute("UPDATE platform.tenants SET revision = '0001' WHERE id = %s", [source.id])
    with pytest.raises(SourceNotMigrated, match="at revision 0001"):
        await cloned(process, source, is_scrubbed=True)
    owner.execute("UPDATE platform.tenants SET revision = %s WHERE id = %s", [acme.revision, source.id])
    monkeypatch.setattr(clone, "_LOCK_TIMEOUT", "50ms")
    with owner.transaction():
        owner.execute(f'ALTER TABLE "{source.schema}".items ADD COLUMN late text')
        with pytest.raises(Problem):
            await cloned(process, source, is_scrubbed=True)
    async with platform_session(process.database) as session:
        await lifecycle(session).delete(source.id, by=OPERATOR)
    with pytest.raises(WrongTenantState):
        await cloned(process, source, is_scrubbed=True)
    assert schemas() == before


async def test_a_source_that_is_gone_or_has_older_tables_is_refused_by_name(
    process: Process, owner: Any, source: TenantRef, acme: TenantRef
) -> None:
    await purged(process, acme.id)
    with pytest.raises(WrongTenantState, match="purged"):
        await cloned(process, acme, is_scrubbed=True)
    owner.execute("UPDATE platform.tenants SET revision = '0003' WHERE id = %s", [source.id])
    owner.execute(f'DROP TABLE "{source.schema}".api_keys')
    with pytest.raises(SourceNotMigrated, match="at revision 0003"):
        await cloned(process, source, is_scrubbed=True)


async def test_an_admin_has_a_copy_made_by_a_worker_once_however_often_it_tries(
    http: httpx.AsyncClient, process: Process, owner: Any, source: TenantRef, acme: TenantRef
) -> None:
    headers, address = await admin(process), f"/platform/v1/tenants/{source.id}/clones"
    slug = new_slug()
    assert refusal_of(await http.post(address, headers=headers, json={"slug": slug})) == (422, "validation-failed")
    taken = await http.post(address, headers=headers, json={"slug": acme.slug, "is_scrubbed": True})
    assert refusal_of(taken) == (409, "slug-taken")
    unscoped = await admin(process, "platform:tenants:write", "platform:tenants:read")
    body = {"slug": slug, "is_scrubbed": True}
    assert refusal_of(await http.post(address, headers=unscoped, json=body)) == (403, "insufficient-scope")
    asked = await http.post(address, headers=headers, json=body)
    assert asked.status_code == 202, asked.text
    again = await http.post(address, headers=headers, json=body)
    place, clone_id = f"{address}/{asked.json()['id']}", UUID(asked.json()["id"])
    assert asked.json()["state"] == "waiting"

    for attempt in (1, 2):
        await run(process, clone_id, attempt)
        done = (await http.get(place, headers=headers)).json()
        assert (done["state"], done["error"]) == ("done", None)
        owner.execute("UPDATE platform.tenant_clones SET ended_at = NULL WHERE id = %s", [clone_id])
    await process.feed.caught_up()
    made = await http.get(f"/platform/v1/tenants/{done['tenant_id']}", headers=headers)
    assert (made.json()["slug"], made.json()["name"], made.json()["state"]) == (slug, slug, "active")

    await run(process, UUID(again.json()["id"]), 1)
    failed = (await http.get(f"{address}/{again.json()['id']}", headers=headers)).json()
    assert failed["state"] == "failed"
    assert failed["error"] == "Another tenant has this slug, or had it until lately."
    elsewhere = f"/platform/v1/tenants/{acme.id}/clones/{clone_id}"
    assert (await http.get(elsewhere, headers=headers)).status_code == 404


async def test_of_two_workers_that_make_one_copy_the_slower_does_not_call_it_failed(
    http: httpx.AsyncClient, process: Process, source: TenantRef
) -> None:
    headers, address = await admin(process), f"/platform/v1/tenants/{source.id}/clones"
    body = {"slug": new_slug(), "is_scrubbed": True}
    asked = (await http.post(address, headers=headers, json=body)).json()
    await asyncio.gather(*(run(process, UUID(asked["id"]), attempt) for attempt in (1, 2)))
    done = (await http.get(f"{address}/{asked['id']}", headers=headers)).json()
    assert (done["state"], done["error"]) == ("done", None)


async def test_a_copy_takes_no_slug_that_another_tenant_gives_up_in_the_same_moment(
    http: httpx.AsyncClient, process: Process, owner: Any, source: TenantRef, acme: TenantRef
) -> None:
    """The copy has taken its look at the database by then, and sees nothing of what the other leaves for itself."""

    def waits() -> bool:
        return owner.execute(_WAITS_FOR_A_TRANSACTION).fetchone()[0] > 0

    async with platform_session(process.database) as session:
        patch = TenantPatch(slug=new_slug())
        await TenantService(
            session, process.provisioner, base_domain="leasehold.test", vacancies=0, former_slug_seconds=3600
        ).change(acme.id, patch, by=OPERATOR)
        copying = asyncio.create_task(cloned(process, source, is_scrubbed=True, slug=acme.slug))
        await until(waits)
    with pytest.raises(SlugTaken):
        await copying
    assert owner.execute("SELECT count(*) FROM platform.tenants WHERE slug = %s", [acme.slug]).fetchone() == (0,)
    (kept,) = owner.execute("SELECT tenant_id FROM platform.former_slugs WHERE slug = %s", [acme.slug]).fetchall()
    assert kept == (acme.id,)
    await until(lambda: process.directory.by_former_slug(acme.slug) is not None)
    moved = await http.get(on(acme.slug, "/v1/items"), headers=await bearer(process, acme))
    assert moved.status_code == 308


async def test_of_a_copy_and_a_new_tenant_one_gets_the_slug(process: Process, owner: Any, source: TenantRef) -> None:
    slug = new_slug()
    made = await asyncio.gather(
        cloned(process, source, is_scrubbed=True, slug=slug),
        cloned(process, source, is_scrubbed=True, slug=slug),
        process.provisioner.provision(slug=slug, name="x", by=OPERATOR),
        return_exceptions=True,
    )
    refused = [one for one in made if isinstance(one, BaseException)]
    assert [type(one) for one in refused] == [SlugTaken, SlugTaken]
    assert owner.execute("SELECT count(*) FROM platform.tenants WHERE slug = %s", [slug]).fetchone() == (1,)


async def run(process: Process, clone_id: UUID, attempt: int) -> None:
    """Do what a worker does with the job of a copy."""
    job = ClaimedJob(
        id=new_id(),
        worker_id=new_id(),
        tenant_id=None,
        lane=UUID(int=0),
        name="clones.make",
        arguments=b"{}",
        attempt=attempt,
        max_attempts=5,
        times_put_off=0,
        traceparent=None,
        waited_s=0.0,
    )
    open_session = partial(platform_session, process.database)
    await make_clone.function(AskedClone(clone_id), open_session=open_session, cloner=process.cloner, job=job)


GROUP_HELD = """
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()
 WHERE l.classid = 'pg_authid'::regclass AND l.objid = 'lh_tenant'::regrole AND l.mode <> 'AccessShareLock'
"""


async def test_while_rows_are_copied_others_can_be_provisioned(process: Process, owner: Any, source: TenantRef) -> None:
    held: list[int] = []

    def look(_table: str, _rows: int) -> None:
        held.append(owner.execute(GROUP_HELD).fetchone()[0])

    await cloned(process, source, is_scrubbed=False, report=look)
    assert set(held) == {0}
