"""The binding itself: it fails closed, and what it sets cannot be got around by the usual accidents."""

import dataclasses
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import ProgrammingError

from leasehold.config import Settings
from leasehold.core.database import Database, platform_session
from leasehold.core.errors import DatabaseUnavailable, Problem
from leasehold.core.sqlstate import ValueRefused
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession, Unbound, announce_revocation, open_tenant_session, prepare_engine
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.window import TenantNotMigrated
from leasehold.workspace.items.models import Item
from tests.factories import item, principal, until
from tests.isolation.conftest import open_pool


async def test_a_session_without_a_tenant_raises_before_anything_is_sent(process: Process) -> None:
    async with TenantSession(process.database.engine) as session:
        with pytest.raises(Unbound):
            await session.scalars(select(Item))


async def test_a_connection_beside_the_sessions_finds_no_table(process: Process) -> None:
    async with process.database.engine.connect() as connection:
        with pytest.raises(ProgrammingError, match='relation "items" does not exist'):
            await connection.execute(select(Item.id))


async def test_a_query_that_names_another_tenants_table_is_refused_by_postgresql(
    process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    with pytest.raises(ProgrammingError, match="permission denied for schema"):
        async with open_tenant_session(process.database, acme) as session:
            await session.execute(text(f'SELECT * FROM "{globex.schema}".items'))


async def test_a_binding_that_fails_does_not_poison_the_pool(settings: Settings, eight: list[TenantRef]) -> None:
    database = open_pool(settings, 1)
    prepare_engine(database.engine, max_tenants=500)
    nobody = dataclasses.replace(eight[0], role="lh_t_nobody")
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            async with open_tenant_session(database, nobody) as session:
                await session.execute(text("SELECT 1"))
        async with open_tenant_session(database, eight[1]) as session:
            assert (await session.scalars(select(Item.title).distinct())).all() == [eight[1].slug]
    await database.close()


async def test_a_temporary_table_cannot_shadow_a_tenants_table_even_where_it_is_allowed(
    settings: Settings, eight: list[TenantRef]
) -> None:
    assert settings.owner_url is not None
    database = open_pool(settings, 1)
    prepare_engine(database.engine, max_tenants=500)
    own, other = eight[0], eight[1]
    async with database.engine.connect() as connection:
        name = await connection.scalar(text("SELECT current_database()"))
    owner = open_pool(settings.model_copy(update={"database_url": settings.owner_url}), 1)
    async with owner.engine.begin() as connection:
        await connection.execute(text(f'GRANT TEMPORARY ON DATABASE "{name}" TO {own.role}'))
    async with open_tenant_session(database, own) as session:
        await session.execute(text("CREATE TEMPORARY TABLE items (title text)"))
        await session.execute(text("INSERT INTO pg_temp.items VALUES ('shadow')"))
    for tenant in (own, other):
        async with open_tenant_session(database, tenant) as session:
            assert (await session.scalars(select(Item.title).distinct())).all() == [tenant.slug]
    async with owner.engine.begin() as connection:
        await connection.execute(text(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM {own.role}'))
    await owner.close()
    await database.close()


@pytest.mark.not_pooled("counts backends, of which the pooler has one")
async def test_a_session_that_meets_a_dead_connection_gets_a_fresh_one(
    settings: Settings, process: Process, eight: list[TenantRef]
) -> None:
    database = open_pool(settings, 1)
    prepare_engine(database.engine, max_tenants=500)
    for _ in range(3):
        async with open_tenant_session(database, eight[0]) as session:
            backend = await session.scalar(text("SELECT pg_backend_pid()"))
        async with platform_session(process.database) as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend})
        async with open_tenant_session(database, eight[0]) as session:
            assert (await session.scalars(select(Item.title).distinct())).all() == [eight[0].slug]
    await database.close()


@pytest.mark.not_pooled("counts backends, of which the pooler has one")
async def test_a_connection_that_has_met_too_many_tenants_retires(settings: Settings, eight: list[TenantRef]) -> None:
    database = open_pool(settings, 1)
    prepare_engine(database.engine, max_tenants=3)
    backends: list[int] = []
    for tenant in eight:
        async with open_tenant_session(database, tenant) as session:
            backends.append(await session.scalar(text("SELECT pg_backend_pid()")))
    await database.close()
    assert len(set(backends)) == 2
    assert backends[:4] == [backends[0]] * 4


async def test_statements_carry_the_revision_of_the_tenant(process: Process, acme: TenantRef) -> None:
    later = dataclasses.replace(acme, revision="feedc0de")
    async with open_tenant_session(process.database, later) as session:
        own = await session.scalar(text("SELECT current_query()"))
    assert own.endswith("/* feedc0de */")


async def test_a_statement_for_many_rows_carries_the_revision_too(process: Process, acme: TenantRef) -> None:
    queries: list[str] = []

    def listen(query: Any) -> None:
        queries.append(query.query)

    async with open_tenant_session(process.database, dataclasses.replace(acme, revision="feedc0de")) as session:
        raw = await (await session.connection()).get_raw_connection()
        assert raw.driver_connection is not None
        raw.driver_connection.add_query_logger(listen)
        await session.execute(insert(Item.__table__), [{"title": "one"}, {"title": "two"}])
        raw.driver_connection.remove_query_logger(listen)
        await session.rollback()
    assert [query for query in queries if query.startswith("INSERT") and query.endswith("/* feedc0de */")]


@pytest.mark.parametrize("values", [{"title": None}, {"title": ""}], ids=["NOT NULL", "CHECK"])
@pytest.mark.parametrize(("has_moved", "expected"), [(True, TenantNotMigrated), (False, ValueRefused)])
async def test_a_rule_that_is_violated_is_the_fault_of_who_asks_unless_the_tenant_has_moved(
    process: Process, acme: TenantRef, values: dict[str, Any], has_moved: bool, expected: type[Problem]
) -> None:
    tenant = dataclasses.replace(acme, revision="feedc0de") if has_moved else acme
    with pytest.raises(expected):
        async with open_tenant_session(process.database, tenant) as session:
            await session.execute(insert(Item).values(values))


async def test_what_a_tenant_left_on_a_connection_stands_behind_no_statement_of_the_platform(
    settings: Settings, acme: TenantRef
) -> None:
    database = open_pool(settings, 1)
    prepare_engine(database.engine, max_tenants=500)
    async with open_tenant_session(database, acme) as session:
        await session.scalar(text("SELECT 1"))
    async with platform_session(database) as session:
        assert await session.scalar(text("SELECT current_query()")) == "SELECT current_query()"
    await database.close()


async def test_nobody_can_revoke_in_another_tenant(process: Process, acme: TenantRef, globex: TenantRef) -> None:
    subject = (await item(process, acme)).id
    for tenant in (acme, globex):
        process.subjects.remember(tenant.id, principal(tenant, subject), epoch=process.subjects.epoch)
    async with open_tenant_session(process.database, acme) as session:
        await announce_revocation(session, subject)
    await until(lambda: not process.subjects.knows(acme.id, principal(acme, subject)), timeout_s=30)
    assert process.subjects.knows(globex.id, principal(globex, subject))


async def test_without_roles_the_path_alone_separates_tenants(
    settings: Settings, process: Process, eight: list[TenantRef]
) -> None:
    assert settings.owner_url is not None
    # Only a login with rights on the schemas can work without roles: here the owner stands for it.
    with_rights = settings.model_copy(update={"database_url": settings.owner_url})
    database = Database(open_pool(with_rights, 1).engine, tenant_roles=False)
    prepare_engine(database.engine, max_tenants=500)
    for tenant in eight[:3]:
        async with open_tenant_session(database, tenant) as session:
            assert (await session.scalars(select(Item.title).distinct())).all() == [tenant.slug]
            await announce_revocation(session, tenant.id)
    await database.close()
