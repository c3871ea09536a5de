"""Vacancies: tenants that were made ready in advance, and are claimed by whoever signs up."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.budget import CLAIM_CONNECTIONS
from leasehold.core.database import DriverConnection, driver_url, platform_session
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.idempotency.key import IdempotencyKey
from leasehold.core.ids import new_id
from leasehold.core.sqlstate import ValueRefused
from leasehold.platform.lifecycle.jobs import fill_vacancies
from leasehold.platform.tenants.schemas import Tenant
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy import claims
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.fleet.fingerprint import describe
from leasehold.tenancy.fleet.reference import open_reference
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.jobs.definition import NoArguments
from leasehold.tenancy.owner import NoOwner, Owner
from leasehold.tenancy.provision import SlugTaken
from leasehold.tenancy.vacancies import Claimed, SignUp, claim_vacancies, count_vacancies
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.audit import events_of
from tests.factories import OPERATOR, bearer, new_slug, until
from tests.pooler import direct


@pytest.fixture
async def owner(settings: Settings) -> AsyncGenerator[Any]:
    """A connection of the owner, to a database without vacancies."""
    assert settings.owner_url is not None
    connection = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    await connection.execute("UPDATE platform.tenants SET state = 'purging' WHERE state = 'vacant'")
    yield connection
    await connection.execute("UPDATE platform.tenants SET state = 'purging' WHERE state = 'vacant'")
    await connection.close()


async def sign_up(process: Process, slug: str, *, wanted: int = 0) -> Tenant:
    async with platform_session(process.database) as session:
        service = TenantService(session, process.provisioner, base_domain="leasehold.test", vacancies=wanted)
        return await service.provision(slug=slug, name="Acme Inc.", by=OPERATOR)


async def ready(process: Process) -> int:
    async with platform_session(process.database) as session:
        return await count_vacancies(session, revision=process.provisioner.revision)


async def fill(process: Process, wanted: int) -> None:
    """Do what the worker does."""
    await fill_vacancies.function(
        NoArguments(),
        open_session=partial(platform_session, process.database),
        provisioner=process.provisioner,
        vacancies=wanted,
    )


async def blocked(owner: Any, wanted: int) -> list[int]:
    """Wait until so many backends that write wait for a lock that this connection holds, and return them.

    Who only reads is the directory's feed, which looks at each vacancy that was made.
    """
    waiting = (
        "SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND mode <> 'AccessShareLock'"
        " AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    )
    async with asyncio.timeout(60):
        while len(found := await owner.fetch(waiting)) < wanted:
            await asyncio.sleep(0.01)
    return [row["pid"] for row in found]


async def test_as_many_are_made_as_are_missing_and_each_is_complete(process: Process, owner: Any) -> None:
    for wanted in (3, 3, 2, 4):
        await fill(process, wanted)
    assert await ready(process) == 4
    rows = await owner.fetch("SELECT schema_name, role_name, slug FROM platform.tenants WHERE state = 'vacant'")
    reference = await describe(owner, await open_reference(owner))
    for row in rows:
        assert await describe(owner, SchemaTarget(row["schema_name"], row["role_name"])) == reference
        assert await owner.fetchval(f'SELECT count(*) FROM "{row["schema_name"]}".tenant_secrets') == 1
        log = f'"{row["schema_name"]}".audit_events'
        empty_with_pages = f"SELECT count(*), pg_relation_size('{log}') > 0 FROM {log}"
        assert await owner.fetchrow(empty_with_pages) == (0, True)
        assert row["slug"].startswith("-")


async def test_who_signs_up_gets_a_vacancy_that_is_a_tenant_like_any_other(
    process: Process, settings: Settings, owner: Any
) -> None:
    await fill(process, 2)
    oldest = await owner.fetchval("SELECT id FROM platform.tenants WHERE state = 'vacant' ORDER BY id")
    slug = new_slug()
    made = await sign_up(process, slug)
    assert (made.id, made.slug, made.name, made.state) == (oldest, slug, "Acme Inc.", "active")
    await until(lambda: process.directory.by_slug(slug) is not None)
    tenant = process.directory.by_slug(slug)
    assert tenant is not None
    (event,) = events_of(settings, tenant)
    assert (event["action"], event["changes"]) == ("tenant.provisioned", {"slug": {"from": None, "to": slug}})
    assert event in events_of(settings, None, action="tenant.provisioned")
    assert await bearer(process, tenant)
    async with open_tenant_session(process.database, tenant) as session:
        assert (await ItemService(session=session).add(ItemCreate("Desk"))).title == "Desk"
    assert await ready(process) == 1


async def test_no_owner_is_needed_as_long_as_there_is_one(
    process: Process, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(process, 1)
    monkeypatch.setattr(process.provisioner, "owner", Owner(None))
    assert (await sign_up(process, new_slug())).state == "active"
    with pytest.raises(NoOwner):
        await sign_up(process, new_slug())


async def test_without_one_a_tenant_is_built(process: Process, owner: Any) -> None:
    assert await ready(process) == 0
    assert (await sign_up(process, new_slug())).state == "active"


async def test_one_that_is_not_at_head_is_left_alone(process: Process, owner: Any) -> None:
    await fill(process, 2)
    behind = await owner.fetchval(
        "UPDATE platform.tenants SET revision = '0009' WHERE id ="
        " (SELECT id FROM platform.tenants WHERE state = 'vacant' ORDER BY id LIMIT 1) RETURNING id"
    )
    made = [(await sign_up(process, new_slug())) for _ in range(2)]
    assert behind not in {tenant.id for tenant in made}
    assert {tenant.revision for tenant in made} == {process.provisioner.revision}
    assert await owner.fetchval("SELECT state FROM platform.tenants WHERE id = $1", behind) == "vacant"


async def test_one_that_a_migration_holds_is_passed_by(process: Process, owner: Any) -> None:
    await fill(process, 2)
    async with owner.transaction():
        held = await owner.fetchval(
            "SELECT id FROM platform.tenants WHERE state = 'vacant' ORDER BY id LIMIT 1 FOR UPDATE"
        )
        assert (await asyncio.wait_for(sign_up(process, new_slug()), 60)).id != held


async def test_many_at_once_get_one_each_and_those_for_whom_there_is_none_are_built(
    process: Process, settings: Settings, owner: Any
) -> None:
    await fill(process, 25)
    slugs = [new_slug() for _ in range(27)]
    made = await asyncio.gather(*(sign_up(process, slug) for slug in slugs))
    assert [tenant.slug for tenant in made] == slugs
    assert len({tenant.id for tenant in made}) == 27
    assert await ready(process) == 0
    await until(lambda: all(process.directory.by_slug(slug) for slug in slugs))
    for tenant in made:
        (event,) = events_of(settings, process.directory.by_slug(tenant.slug))
        assert (event["target_id"], event["changes"]["slug"]["to"]) == (tenant.id, tenant.slug)


async def test_who_signs_up_in_the_moment_in_which_the_one_before_is_served_is_served_too(
    process: Process, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "CLAIM_CONNECTIONS", 1)
    await fill(process, 3)
    async with asyncio.timeout(60):
        for _ in range(3):
            assert await process.provisioner.claim(slug=new_slug(), name="Acme Inc.", by=OPERATOR)


async def test_two_statements_take_slugs_in_the_same_order(
    process: Process, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each may wait for a slug that the other has, until PostgreSQL ends one of them after a second."""
    taken: list[list[str]] = []

    async def noting(
        connection: DriverConnection, wanted: Sequence[SignUp], *, revision: str
    ) -> Sequence[Claimed | None]:
        taken.append([sign_up.slug for sign_up in wanted])
        return await claim_vacancies(connection, wanted, revision=revision)

    monkeypatch.setattr(claims, "claim_vacancies", noting)
    await fill(process, 12)
    slugs = [new_slug() for _ in range(10)]
    answers = await asyncio.gather(*(sign_up(process, slug) for slug in slugs + slugs[::-1]), return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, BaseException)] == [SlugTaken] * 10
    assert len(max(taken, key=len)) > 1
    assert all(together == sorted(together) for together in taken)


async def test_one_that_is_refused_does_not_keep_the_others_of_its_statement_from_theirs(
    process: Process, owner: Any
) -> None:
    taken = (await sign_up(process, new_slug())).slug
    await fill(process, 6)
    slugs = [new_slug(), taken, new_slug(), new_slug()]
    names = ["Acme Inc.", "Acme Inc.", "what no text can hold: \0", "Acme Inc."]
    claim = process.provisioner.claim
    first, refused, unspeakable, last = await asyncio.gather(
        *(claim(slug=slug, name=name, by=OPERATOR) for slug, name in zip(slugs, names, strict=True)),
        return_exceptions=True,
    )
    assert isinstance(first, Claimed)
    assert isinstance(last, Claimed)
    assert (first.tenant["slug"], last.tenant["slug"]) == (slugs[0], slugs[3])
    assert isinstance(refused, SlugTaken)
    assert isinstance(unspeakable, ValueRefused)
    assert await ready(process) == 4


async def test_who_is_cancelled_in_the_line_takes_none_and_holds_up_nobody(process: Process, owner: Any) -> None:
    await fill(process, 5)
    async with owner.transaction():
        await owner.execute("LOCK TABLE platform.former_slugs")
        held = []
        for number in range(CLAIM_CONNECTIONS):
            held.append(asyncio.create_task(sign_up(process, new_slug())))
            await blocked(owner, number + 1)
        leaves, stays = (asyncio.create_task(sign_up(process, new_slug())) for _ in range(2))
        await asyncio.wait({leaves}, timeout=0.1)
        leaves.cancel()
        await asyncio.wait({leaves})
    made = await asyncio.wait_for(asyncio.gather(*held, stays), 60)
    assert len({tenant.id for tenant in made}) == 3
    assert leaves.cancelled()
    assert await ready(process) == 2


async def test_those_who_cannot_know_whether_they_have_theirs_are_not_served_again(
    process: Process, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The farewell of a backend may come behind its commit."""
    served: list[int] = []

    async def served_and_gone(
        connection: DriverConnection, wanted: Sequence[SignUp], *, revision: str
    ) -> Sequence[Claimed | None]:
        served.append(len(await claim_vacancies(connection, wanted, revision=revision)))
        raise asyncpg.AdminShutdownError("terminating connection due to administrator command")

    monkeypatch.setattr(claims, "claim_vacancies", served_and_gone)
    await fill(process, 5)
    answers = await asyncio.gather(*(sign_up(process, new_slug()) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 3
    assert sum(served) == 3


async def test_a_lost_connection_is_told_to_all_whom_it_served_and_the_next_one_gets_another(
    process: Process, owner: Any
) -> None:
    await fill(process, 5)
    async with owner.transaction():
        await owner.execute("LOCK TABLE platform.former_slugs")
        lost = [asyncio.create_task(sign_up(process, new_slug())) for _ in range(3)]
        app: Any = await asyncpg.connect(direct(process.settings))
        for pid in await blocked(owner, 1):
            assert await app.fetchval("SELECT pg_terminate_backend($1)", pid)
        await app.close()
        answers = await asyncio.wait_for(asyncio.gather(*lost, return_exceptions=True), 60)
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 3
    assert await ready(process) == 5
    assert (await sign_up(process, new_slug())).state == "active"


async def test_of_many_with_one_slug_one_gets_it_and_the_vacancies_of_the_others_stay(
    process: Process, owner: Any
) -> None:
    await fill(process, 5)
    slug = new_slug()
    answers = await asyncio.gather(*(sign_up(process, slug) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, BaseException)] == [SlugTaken] * 4
    assert await ready(process) == 4


@pytest.mark.parametrize("prepared_statements", [True, False])
async def test_a_claim_is_committed_at_once_but_for_one_with_a_key_which_is_part_of_the_request(
    process: Process, owner: Any, monkeypatch: pytest.MonkeyPatch, prepared_statements: bool
) -> None:
    monkeypatch.setattr(process.provisioner.app, "prepared_statements", prepared_statements)
    key = IdempotencyKey(new_id(), "sign up", bytes(32))

    async def signed_up(key: IdempotencyKey | None, *, is_undone: bool = False) -> None:
        async with platform_session(process.database) as session:
            service = TenantService(session, process.provisioner, base_domain="leasehold.test", vacancies=0)
            await service.provision(slug=new_slug(), name="Acme Inc.", by=OPERATOR, key=key)
            if is_undone:
                raise LookupError

    await fill(process, 3)
    with pytest.raises(LookupError):
        await signed_up(None, is_undone=True)
    assert await ready(process) == 2
    with pytest.raises(LookupError):
        await signed_up(key, is_undone=True)
    assert await ready(process) == 2
    await signed_up(key)
    assert await ready(process) == 1


async def test_the_former_slug_of_another_is_refused_and_the_vacancy_stays(process: Process, owner: Any) -> None:
    tenant, slug = await sign_up(process, new_slug()), new_slug()
    await fill(process, 1)
    await owner.execute(
        "INSERT INTO platform.former_slugs (id, slug, tenant_id, expires_at)"
        " VALUES (gen_random_uuid(), $1, $2, now() + interval '1 hour')",
        slug,
        tenant.id,
    )
    with pytest.raises(SlugTaken):
        await sign_up(process, slug)
    assert await ready(process) == 1
    await owner.execute("UPDATE platform.former_slugs SET expires_at = now() WHERE slug = $1", slug)
    assert (await sign_up(process, slug)).slug == slug
    assert await ready(process) == 0
    assert await owner.fetchval("SELECT count(*) FROM platform.former_slugs WHERE slug = $1", slug) == 0


async def test_where_few_are_left_others_are_asked_for_once(process: Process, owner: Any) -> None:
    await fill(process, 4)
    asked = "SELECT count(*) FROM platform.jobs WHERE name = 'lifecycle.fill_vacancies' AND state = 'ready'"
    await owner.execute("DELETE FROM platform.jobs WHERE name = 'lifecycle.fill_vacancies'")
    counts = []
    for _ in range(4):
        await sign_up(process, new_slug(), wanted=4)
        counts.append(await owner.fetchval(asked))
    assert counts == [0, 0, 1, 1]
    await owner.execute("DELETE FROM platform.jobs WHERE name = 'lifecycle.fill_vacancies'")
