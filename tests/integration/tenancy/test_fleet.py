"""A run over the fleet: every schema by the rendering, each for itself, registry and schemas always in agreement."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from leasehold.cli.fleet_run import fleet_run
from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.models import TenantModel
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.fingerprint import fingerprint
from leasehold.tenancy.fleet.plan import RunOptions, UnknownTenantSlug
from leasehold.tenancy.fleet.rendering import Unrenderable
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.fleet.run import RunSummary
from leasehold.tenancy.provision import Provisioner
from tests.conftest import installed, migrate
from tests.factories import new_slug

ADD_COLUMN = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.add_column("items", sa.Column("colour", sa.Text(), nullable=False, server_default="50% grey"))
    op.create_table("tags", sa.Column("id", sa.Uuid(), primary_key=True))


def downgrade() -> None:
    op.drop_table("tags")
    op.drop_column("items", "colour")
"""
ADD_INDEX = """
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ix_items_colour", "items", ["colour"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index("ix_items_colour")
"""
LIVE = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"
live = True
on_empty = "skip"


def upgrade() -> None:
    connection = op.get_bind()
    items = connection.scalar(sa.text("SELECT count(*) FROM items"))
    op.execute(f"UPDATE items SET colour = 'one of {items}'")


def downgrade() -> None:
    op.get_bind().execute(sa.text("UPDATE items SET colour = ''"))
"""
FROZEN = """
import uuid

from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.execute(f"INSERT INTO tags (id) VALUES ('{uuid.uuid4()}')")
"""


@pytest.fixture
def own(admin_url: str, tmp_path: Path, worker_id: str) -> Generator[Settings]:
    """An installation of this test alone, with a copy of the migrations that the test may add to."""
    with installed(admin_url, f"leasehold_fleet_{worker_id}_{new_slug()[2:]}") as settings:
        shutil.copytree(settings.migrations_dir, tmp_path / "migrations")
        for revision in (tmp_path / "migrations" / "tenant" / "versions").glob("*.py"):
            if not revision.name.startswith("0001"):  # the tests write the revisions behind it
                revision.unlink()
        made = settings.model_copy(update={"migrations_dir": tmp_path / "migrations"})
        migrate(made)
        yield made


@pytest.fixture
async def owner(own: Settings) -> AsyncGenerator[Any]:
    assert own.owner_url is not None
    connection = await asyncpg.connect(driver_url(own.owner_url.get_secret_value()))
    yield connection
    await connection.close()


@pytest.fixture
async def admin(own: Settings, admin_url: str) -> AsyncGenerator[Any]:
    """A connection as superuser, for what only an accident could do."""
    database = own.database_url.get_secret_value().rpartition("/")[2]
    connection = await asyncpg.connect(f"{driver_url(admin_url).rpartition('/')[0]}/{database}")
    yield connection
    await connection.close()


def add(settings: Settings, name: str, revision: str) -> None:
    (settings.migrations_dir / "tenant" / "versions" / f"{name}.py").write_text(revision)


async def run(settings: Settings, **options: Any) -> RunSummary:
    return await fleet_run(settings, RunOptions(**{"jobs": 2, **options})).run()


async def provision(settings: Settings, count: int) -> list[TenantRef]:
    provisioner = Provisioner(
        owner_url=settings.owner_url.get_secret_value() if settings.owner_url else None,
        migrations_dir=settings.migrations_dir,
        metadata=TenantModel.metadata,
        seeds=[],
        tenant_roles=True,
    )
    made = [await provisioner.provision(slug=new_slug(), name="x") for _ in range(count)]
    await provisioner.close()
    return made


async def revisions(owner: Any, tenants: list[TenantRef]) -> list[str]:
    """Return the revision of each tenant, after seeing that registry and schema agree."""
    found: list[str] = []
    for tenant in tenants:
        own = await owner.fetchval(f'SELECT version_num FROM "{tenant.schema}".alembic_version')
        registered = await owner.fetchval("SELECT revision FROM platform.tenants WHERE id = $1", tenant.id)
        assert own == registered
        found.append(own)
    return found


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
