"""A run over the fleet: every schema by the rendering, each for itself, registry and schemas always in agreement."""

import asyncio
from typing import Any

import pytest

from leasehold.config import Settings
from leasehold.tenancy.fleet.fingerprint import fingerprint
from leasehold.tenancy.fleet.plan import UnknownTenantSlug
from leasehold.tenancy.fleet.rendering import Unrenderable
from leasehold.tenancy.fleet.replay import SchemaTarget
from tests.fleets import ADD_COLUMN, ADD_INDEX, CONTRACT, FROZEN, LIVE, add, provision, revisions, run


async def test_all_tenants_reach_head_and_look_like_a_new_one(own: Settings, owner: Any) -> None:
    old = await provision(own, 5)
    add(own, "0002_colour", ADD_COLUMN)
    add(own, "0003_index", ADD_INDEX)
    summary = await run(own)
    assert (summary.fleet, len(summary.results), summary.failed) == (5, 5, ())
    assert await revisions(owner, old) == ["0003"] * 5
    (new,) = await provision(own, 1)
    expected = await fingerprint(owner, SchemaTarget(new.schema, new.role))
    for tenant in old:
        assert await fingerprint(owner, SchemaTarget(tenant.schema, tenant.role)) == expected
    default = await owner.fetchval(
        "SELECT column_default FROM information_schema.columns WHERE table_schema = $1 AND column_name = 'colour'",
        old[0].schema,
    )
    assert default == "'50% grey'::text"


async def test_a_tenant_that_fails_keeps_its_revision_and_stops_nobody(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 4)
    broken = tenants[1]
    await owner.execute(f'CREATE TABLE "{broken.schema}".tags (id int)')
    add(own, "0002_colour", ADD_COLUMN)
    summary = await run(own)
    assert [result.slug for result in summary.failed] == [broken.slug]
    assert 'relation "tags" already exists' in str(summary.failed[0].error)
    assert await revisions(owner, tenants) == ["0002", "0001", "0002", "0002"]
    await owner.execute(f'DROP TABLE "{broken.schema}".tags')
    again = await run(own)
    assert [(result.slug, result.error) for result in again.results] == [(broken.slug, None)]
    assert await revisions(owner, tenants) == ["0002"] * 4


async def test_a_run_with_nothing_to_do_touches_no_tenant(own: Settings) -> None:
    await provision(own, 3)
    summary = await run(own)
    assert (summary.fleet, summary.planned, summary.results) == (3, 0, ())


async def test_one_tenant_goes_up_and_down_alone(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 2)
    add(own, "0002_colour", ADD_COLUMN)
    assert (await run(own, only=(tenants[0].slug,))).outcome == "succeeded"
    assert await revisions(owner, tenants) == ["0002", "0001"]
    back = await run(own, direction="downgrade", target="-1", only=(tenants[0].slug,), allow_destructive=True)
    assert back.outcome == "succeeded"
    assert await revisions(owner, tenants) == ["0001", "0001"]
    targets = [SchemaTarget(tenant.schema, tenant.role) for tenant in tenants]
    assert await fingerprint(owner, targets[0]) == await fingerprint(owner, targets[1])
    with pytest.raises(UnknownTenantSlug):
        await run(own, only=("nobody",))


async def test_a_value_that_python_would_freeze_into_every_tenant_is_refused_before_any_is_touched(
    own: Settings, owner: Any
) -> None:
    tenants = await provision(own, 2)
    add(own, "0002_colour", ADD_COLUMN)
    add(own, "0003_index", ADD_INDEX)
    add(own, "0004_frozen", FROZEN)
    with pytest.raises(Unrenderable, match="two renderings differ"):
        await run(own)
    assert await revisions(owner, tenants) == ["0001", "0001"]


async def test_a_reference_that_was_taken_back_to_base_is_built_anew(own: Settings, owner: Any) -> None:
    await owner.execute("DROP SCHEMA tenant_reference CASCADE; CREATE SCHEMA tenant_reference")
    await owner.execute("CREATE TABLE tenant_reference.alembic_version (version_num text)")
    await run(own)
    (tenant,) = await provision(own, 1)
    assert await revisions(owner, [tenant]) == ["0001"]


async def test_new_tables_carry_the_rights_of_the_tenants_role(own: Settings, owner: Any) -> None:
    (tenant,) = await provision(own, 1)
    add(own, "0002_colour", ADD_COLUMN)
    await run(own)
    has = "SELECT has_table_privilege($1, $2, 'SELECT, INSERT, UPDATE, DELETE')"
    assert await owner.fetchval(has, tenant.role, f'"{tenant.schema}".tags') is True


async def test_a_tenant_whose_connection_is_killed_is_tried_again(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 6)
    slow = ADD_COLUMN.replace(
        "def upgrade() -> None:", 'def upgrade() -> None:\n    op.execute("DO $$ BEGIN PERFORM pg_sleep(0.3); END $$")'
    )
    add(own, "0002_colour", slow)
    running = asyncio.create_task(run(own))
    killed = 0
    while killed == 0 and not running.done():
        killed = await owner.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid() AND datname = current_database()"
            " AND EXISTS (SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
            "              WHERE l.pid = pg_stat_activity.pid AND c.relname = 'alembic_version'"
            "                AND c.relnamespace <> 'tenant_reference'::regnamespace)"
        )
        await asyncio.sleep(0.01)
    summary = await running
    assert summary.failed == ()
    assert sum(result.attempts > 1 for result in summary.results) == killed > 0
    assert await revisions(owner, tenants) == ["0002"] * 6


async def test_a_live_revision_looks_at_each_schema(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 3)
    for number, tenant in enumerate(tenants):
        for _ in range(number):
            await owner.execute(
                f'INSERT INTO "{tenant.schema}".items (id, title, created_at, updated_at)'
                " VALUES (gen_random_uuid(), 'x', now(), now())"
            )
    add(own, "0002_colour", ADD_COLUMN)
    add(own, "0003_index", ADD_INDEX)
    add(own, "0004_live", LIVE)
    assert (await run(own)).failed == ()
    assert await revisions(owner, tenants) == ["0004"] * 3
    colours = [await owner.fetch(f'SELECT colour FROM "{tenant.schema}".items') for tenant in tenants]
    assert [[row["colour"] for row in rows] for rows in colours] == [[], ["one of 1"], ["one of 2", "one of 2"]]
    (new,) = await provision(own, 1)
    assert await revisions(owner, [new]) == ["0004"]
    assert (await run(own, direction="downgrade", target="-1", only=(tenants[1].slug,))).outcome == "succeeded"
    assert await owner.fetchval(f'SELECT colour FROM "{tenants[1].schema}".items') == ""
    assert await revisions(owner, tenants) == ["0004", "0003", "0004"]


async def test_a_live_revision_that_fails_leaves_nothing_and_stops_nobody(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 3)
    add(own, "0002_colour", ADD_COLUMN)
    add(own, "0003_index", ADD_INDEX)
    add(
        own,
        "0004_live",
        LIVE.replace(
            "op.execute(f",
            f"assert 't_{tenants[1].id.hex}' not in connection.scalar("
            "sa.text('SELECT current_schema()'))\n    op.execute(f",
        ),
    )
    summary = await run(own)
    assert [result.slug for result in summary.failed] == [tenants[1].slug]
    assert await revisions(owner, tenants) == ["0004", "0003", "0004"]


async def test_an_index_that_an_earlier_attempt_left_invalid_is_made_anew(
    own: Settings, owner: Any, admin: Any
) -> None:
    tenants = await provision(own, 3)
    add(own, "0002_colour", ADD_COLUMN)
    await run(own)
    ruined, done = tenants[0].schema, tenants[1].schema
    for schema in (ruined, done):
        await owner.execute(f'CREATE INDEX ix_items_colour ON "{schema}".items (colour)')
    broken = f'"{ruined}".ix_items_colour'
    await admin.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::text::regclass", broken)
    add(own, "0003_index", ADD_INDEX)
    assert (await run(own)).failed == ()
    assert await revisions(owner, tenants) == ["0003"] * 3
    for tenant in tenants:
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = $1::text::regclass"
        assert await owner.fetchval(valid, f'"{tenant.schema}".ix_items_colour') is True


async def test_a_contraction_that_fails_leaves_the_expansions_before_it(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 2)
    add(own, "0002_colour", ADD_COLUMN)
    add(own, "0003_contract", CONTRACT)
    schema = tenants[0].schema
    await owner.execute(f'CREATE VIEW "{schema}".report AS SELECT description FROM "{schema}".items')
    summary = await run(own, allow_destructive=True)
    assert [result.slug for result in summary.failed] == [tenants[0].slug]
    assert await revisions(owner, tenants) == ["0002", "0003"]
