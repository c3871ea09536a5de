"""The rights matrix: each role x each kind of object, what is allowed and what PostgreSQL refuses."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.pooler import direct

OK = None
DENIED = asyncpg.InsufficientPrivilegeError
MISSING = asyncpg.UndefinedTableError
_EVENT = (
    "(id, created_at, actor_kind, action, outcome, changes)"
    " VALUES (gen_random_uuid(), now(), 'system', 'x', 'refused', '{{}}')"
)

# {own} is the schema of the tenant whose role is taken (acme's for owner and app), {other} that of another tenant.
MATRIX: list[tuple[str, str, dict[str, Any]]] = [
    ("read its rows", "SELECT id FROM {own}.items", {"owner": OK, "app": DENIED, "tenant": OK}),
    (
        "write its rows",
        "INSERT INTO {own}.items (id, title, created_at, updated_at) VALUES (gen_random_uuid(), 'x', now(), now())",
        {"owner": OK, "app": DENIED, "tenant": OK},
    ),
    ("change its rows", "UPDATE {own}.items SET title = 'y'", {"owner": OK, "app": DENIED, "tenant": OK}),
    ("delete its rows", "DELETE FROM {own}.items", {"owner": OK, "app": DENIED, "tenant": OK}),
    ("empty its table", "TRUNCATE {own}.items", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("read another's rows", "SELECT id FROM {other}.items", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("write another's rows", "DELETE FROM {other}.items", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("read its secrets", "SELECT wrapped FROM {own}.tenant_secrets", {"owner": OK, "app": DENIED, "tenant": OK}),
    ("write its secrets", "UPDATE {own}.tenant_secrets SET name = 'x'", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("read its revision", "SELECT version_num FROM {own}.alembic_version", {"owner": OK, "app": DENIED, "tenant": OK}),
    ("set its revision", "DELETE FROM {own}.alembic_version", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    (
        "write its log",
        f"INSERT INTO {{own}}.audit_events {_EVENT}",
        {"owner": OK, "app": DENIED, "tenant": OK},
    ),
    ("read its log", "SELECT id FROM {own}.audit_events", {"owner": OK, "app": DENIED, "tenant": OK}),
    (
        "rewrite its log",
        "UPDATE {own}.audit_events SET action = 'y'",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    ("shorten its log", "DELETE FROM {own}.audit_events", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("empty its log", "TRUNCATE {own}.audit_events", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("read another's log", "SELECT id FROM {other}.audit_events", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    (
        "write another's log",
        f"INSERT INTO {{other}}.audit_events {_EVENT}",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    (
        "write the platform's log",
        f"INSERT INTO platform.audit_events {_EVENT}",
        {"owner": OK, "app": OK, "tenant": DENIED},
    ),
    ("read the platform's log", "SELECT id FROM platform.audit_events", {"owner": OK, "app": OK, "tenant": DENIED}),
    (
        "rewrite the platform's log",
        "UPDATE platform.audit_events SET action = 'y'",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    (
        "shorten the platform's log",
        "DELETE FROM platform.audit_events",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    ("empty the platform's log", "TRUNCATE platform.audit_events", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("make a table", "CREATE TABLE {own}.planted (id int)", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("alter a table", "ALTER TABLE {own}.items ADD planted int", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("drop its schema", "DROP SCHEMA {own} CASCADE", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("make a schema", "CREATE SCHEMA planted", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("make a table in public", "CREATE TABLE public.planted (id int)", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("make a temporary table", "CREATE TEMPORARY TABLE t (id int)", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("make a role", "CREATE ROLE planted", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("read the reference", "SELECT id FROM tenant_reference.items", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("read the tenants", "SELECT id FROM platform.tenants", {"owner": OK, "app": OK, "tenant": DENIED}),
    ("rename a tenant", "UPDATE platform.tenants SET name = name", {"owner": OK, "app": OK, "tenant": DENIED}),
    (
        "delete a tenant's row",
        "DELETE FROM platform.tenants WHERE 1=0",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    (
        "write the change log",
        "INSERT INTO platform.registry_changes (id, tenant_id, xact) VALUES (gen_random_uuid(), gen_random_uuid(), 0)",
        {"owner": OK, "app": OK, "tenant": DENIED},
    ),
    (
        "rewrite the change log",
        "UPDATE platform.registry_changes SET xact = 0",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    ("read the change log", "SELECT id FROM platform.registry_changes", {"owner": OK, "app": OK, "tenant": DENIED}),
    ("read admin tokens", "SELECT digest FROM platform.admin_tokens", {"owner": OK, "app": OK, "tenant": DENIED}),
    (
        "set a fingerprint",
        "UPDATE platform.tenant_revisions SET fingerprint = ''",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    ("read the plans", "SELECT id FROM platform.plans", {"owner": OK, "app": OK, "tenant": DENIED}),
    ("change a plan", "UPDATE platform.plans SET limits = limits", {"owner": OK, "app": OK, "tenant": DENIED}),
    (
        "ask who it is",
        "SELECT platform.own_tenant(gen_random_uuid())",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    (
        "read what was counted of it",
        "SELECT requests FROM platform.own_usage(gen_random_uuid(), 'day', now(), now())",
        {"owner": OK, "app": OK, "tenant": OK},
    ),
    (
        "read what was measured of it",
        "SELECT bytes FROM platform.own_sizes(gen_random_uuid(), now(), now())",
        {"owner": OK, "app": OK, "tenant": OK},
    ),
    (
        "ask to be deleted",
        "SELECT platform.request_own_deletion(gen_random_uuid()), platform.withdraw_own_deletion(gen_random_uuid())",
        {"owner": OK, "app": OK, "tenant": OK},
    ),
    ("write its room", "UPDATE {own}.limit_rooms SET room = 0", {"owner": OK, "app": DENIED, "tenant": OK}),
    ("write another's room", "UPDATE {other}.limit_rooms SET room = 0", {"owner": OK, "app": DENIED, "tenant": DENIED}),
    ("read the runs", "SELECT id FROM platform.fleet_runs", {"owner": OK, "app": OK, "tenant": DENIED}),
    (
        "rewrite the runs",
        "UPDATE platform.fleet_runs SET outcome = NULL",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    (
        "take a lease",
        "UPDATE platform.fleet_leases SET run_id = gen_random_uuid()",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    (
        "rewrite what a run came to",
        "UPDATE platform.fleet_results SET error = NULL",
        {"owner": OK, "app": DENIED, "tenant": DENIED},
    ),
    (
        "read what a run came to",
        "SELECT id FROM platform.fleet_results",
        {"owner": OK, "app": OK, "tenant": DENIED},
    ),
    (
        "announce a revocation",
        "SELECT platform.announce_revocation(gen_random_uuid())",
        {"owner": OK, "app": DENIED, "tenant": OK},
    ),
    ("use a table without its schema", "SELECT id FROM items", {"owner": MISSING, "app": MISSING, "tenant": MISSING}),
]
CASES = [
    pytest.param(who, statement, expected[who], id=f"{who}: {what}")
    for what, statement, expected in MATRIX
    for who in ("owner", "app", "tenant")
]


@pytest.fixture(scope="session")
async def connections(settings: Settings) -> AsyncGenerator[dict[str, Any]]:
    """One connection of each login."""
    assert settings.owner_url is not None
    owner = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    app = await asyncpg.connect(driver_url(direct(settings)))
    yield {"owner": owner, "app": app, "tenant": app}
    await owner.close()
    await app.close()


@pytest.mark.parametrize(("who", "statement", "expected"), CASES)
async def test_rights(
    connections: dict[str, Any], eight: list[TenantRef], who: str, statement: str, expected: Any
) -> None:
    """Each statement runs in a transaction that is rolled back."""
    own, other = eight[0], eight[1]
    connection = connections[who]
    transaction = connection.transaction()
    await transaction.start()
    try:
        if who == "tenant":
            await connection.execute(f'SET LOCAL ROLE "{own.role}"')
        sql = statement.format(own=f'"{own.schema}"', other=f'"{other.schema}"')
        if expected is OK:
            await connection.execute(sql)
        else:
            with pytest.raises(expected):
                await connection.execute(sql)
    finally:
        await transaction.rollback()


async def test_an_event_is_written_into_the_log_of_the_tenant_that_it_names_and_by_the_platform_alone(
    connections: dict[str, Any], eight: list[TenantRef]
) -> None:
    """The function is told no schema, so none can be mistaken."""
    app, (own, other) = connections["app"], eight[:2]
    action = f"tenant.noted_{new_id().hex}"
    event = {"id": str(new_id()), "created_at": "2026-01-01T00:00:00Z", "action": action, "actor_kind": "system"}
    event |= {"outcome": "succeeded", "changes": {}}
    record = "SELECT platform.record_to_tenant($1, $2)"
    transaction = app.transaction()
    await transaction.start()
    await app.execute(record, own.id, json.dumps(event))
    for tenant, there in ((own, 1), (other, 0)):
        await app.execute(f'SET LOCAL ROLE "{tenant.role}"')
        counted = f'SELECT count(*) FROM "{tenant.schema}".audit_events WHERE action = $1'
        assert await app.fetchval(counted, action) == there
    await transaction.rollback()
    with pytest.raises(asyncpg.NoDataFoundError):
        await app.execute(record, new_id(), json.dumps(event))
    async with app.transaction():
        await app.execute(f'SET LOCAL ROLE "{own.role}"')
        with pytest.raises(DENIED, match="permission denied for function record_to_tenant"):
            await app.execute(record, own.id, "{}")


async def test_what_the_release_before_records_in_a_tenant_by_is_held_to_the_tenants_role(
    connections: dict[str, Any], eight: list[TenantRef]
) -> None:
    """As another's role, or as no role at all, a schema that was mistaken would get the event of another tenant."""
    app, (own, other) = connections["app"], eight[:2]
    record = "SELECT platform.record_in_tenant($1, $2, '{}')"
    for role in (own.role, "none"):
        with pytest.raises(DENIED, match="permission denied for schema"):
            await app.execute(record, other.schema, role)
        assert await app.fetchval("SELECT current_user::text") == "lh_app"
    async with app.transaction():
        await app.execute(f'SET LOCAL ROLE "{own.role}"')
        with pytest.raises(DENIED, match="permission denied for function record_in_tenant"):
            await app.execute(record, own.schema, own.role)


async def test_a_tenants_role_cannot_become_another_role(connections: dict[str, Any], eight: list[TenantRef]) -> None:
    """SET ROLE asks the login, not the current role: the app may become any tenant, and nobody else."""
    app = connections["app"]
    for role in ("lh_owner", "lh_tenant", "postgres"):
        with pytest.raises(asyncpg.PostgresError):
            await app.execute(f"SET ROLE {role}")
    await app.execute(f'SET ROLE "{eight[0].role}"')
    await app.execute("RESET ROLE")


async def test_the_app_inherits_nothing_from_the_tenants(process: Process, connections: dict[str, Any]) -> None:
    inherited = await connections["owner"].fetchval(
        "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member"
        " WHERE r.rolname = 'lh_app' AND (m.inherit_option OR m.admin_option)"
    )
    assert inherited == 0


async def test_logins_have_no_more_attributes_than_they_need(connections: dict[str, Any]) -> None:
    rows = await connections["owner"].fetch(
        "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication, rolcanlogin"
        " FROM pg_roles WHERE rolname IN ('lh_owner', 'lh_app', 'lh_tenant') ORDER BY rolname"
    )
    assert [tuple(row) for row in rows] == [
        ("lh_app", False, False, False, False, False, True),
        ("lh_owner", False, True, False, False, False, True),
        ("lh_tenant", False, False, False, False, False, False),
    ]
