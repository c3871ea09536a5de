"""`leasehold migrate all`: every tenant for itself, and the next run does only what is left."""

import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.fleets import HEAD, behind_head
from tests.integration.cli.shell import PROJECT, Environment, leasehold, refusal_of, succeeded

NEXT = behind_head('''"""colour of items"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("items", sa.Column("colour", sa.Text()))


def downgrade() -> None:
    op.drop_column("items", "colour")
''')


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """The migrations with one more revision of the tenants."""
    copy = tmp_path / "migrations"
    shutil.copytree(PROJECT / "migrations", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tenant" / "versions" / "9002_colour.py").write_text(NEXT)
    return copy


def statement(env: Environment, slug: str, sql: str) -> None:
    """Execute one statement as the owner in the schema of a tenant."""
    with psycopg.connect(env["LEASEHOLD_OWNER_URL"]) as connection:
        row = connection.execute("SELECT schema_name FROM platform.tenants WHERE slug = %s", [slug]).fetchone()
        assert row is not None
        connection.execute(f'SET LOCAL search_path = "{row[0]}"'.encode())
        connection.execute(sql.encode())


def revisions(env: Environment) -> dict[str, str]:
    """Return the revision of each tenant, which registry and schema must agree on."""
    with psycopg.connect(env["LEASEHOLD_OWNER_URL"]) as connection:
        rows = connection.execute("SELECT slug, schema_name, revision FROM platform.tenants ORDER BY slug").fetchall()
        found: dict[str, str] = {}
        for slug, schema, registered in rows:
            row = connection.execute(f'SELECT version_num FROM "{schema}".alembic_version'.encode()).fetchone()
            assert row == (registered,)
            found[slug] = registered
    return found


def test_a_tenant_that_fails_stops_no_other_and_the_next_run_does_what_is_left(
    new_database: Callable[[str], Environment], provision: Callable[..., None], migrations: Path
) -> None:
    env = {**new_database("failing"), "LEASEHOLD_MIGRATIONS_DIR": str(migrations)}
    provision({**env, "LEASEHOLD_MIGRATIONS_DIR": str(PROJECT / "migrations")}, "acme", "broken", "globex")
    statement(env, "broken", "ALTER TABLE items RENAME TO items_elsewhere")

    first = leasehold("migrate", "all", env=env)
    assert first.returncode == 1
    assert "Traceback" not in first.stdout + first.stderr
    failure, wave, summary = first.stdout.splitlines()
    assert failure == f'failed: broken, from {HEAD}: UndefinedTableError: relation "items" does not exist'
    assert wave.startswith("wave 1: 2 done, 1 failed in ")
    assert summary == "migrated to 9002: 2 of 3 tenants, 1 failed"
    assert "\x1b" not in first.stdout
    assert revisions(env) == {"acme": "9002", "broken": HEAD, "globex": "9002"}

    status = succeeded(leasehold("migrate", "status", env=env))
    assert status.splitlines() == [
        f"{HEAD}: 1",
        "9002 (head): 2",
        f'broken stands at {HEAD}, failed: UndefinedTableError: relation "items" does not exist',
    ]
    assert leasehold("migrate", "check", env=env).returncode == 1

    statement(env, "broken", "ALTER TABLE items_elsewhere RENAME TO items")
    second = succeeded(leasehold("migrate", "all", env=env)).splitlines()
    assert second[0].startswith("wave 1: 1 done, 0 failed in ")
    assert second[1:] == ["migrated to 9002: 1 of 3 tenants, 0 failed"]
    assert revisions(env) == {"acme": "9002", "broken": "9002", "globex": "9002"}

    third = succeeded(leasehold("migrate", "all", env=env)).splitlines()
    assert third == ["nothing to do: 3 tenants, none to be brought to 9002"]
    assert succeeded(leasehold("migrate", "check", env=env)) == "3 of 3 tenants stand at 9002\n"


def test_without_an_owner_the_setting_is_named(installed: Environment) -> None:
    env = {name: value for name, value in installed.items() if name != "LEASEHOLD_OWNER_URL"}
    assert "LEASEHOLD_OWNER_URL" in refusal_of(leasehold("migrate", "all", env=env))


def test_a_history_with_two_heads_is_refused_before_any_tenant(installed: Environment, migrations: Path) -> None:
    second = NEXT.replace('"9002"', '"9002b"')
    (migrations / "tenant" / "versions" / "9002b_other.py").write_text(second)
    refused = leasehold("migrate", "all", env={**installed, "LEASEHOLD_MIGRATIONS_DIR": str(migrations)})
    assert "2 heads" in refusal_of(refused)


def test_a_migrations_folder_that_is_none_is_refused(installed: Environment, tmp_path: Path) -> None:
    refused = leasehold("migrate", "all", env={**installed, "LEASEHOLD_MIGRATIONS_DIR": str(tmp_path / "nothing")})
    assert "nothing" in refusal_of(refused)


def test_a_database_that_does_not_answer_is_one_sentence(installed: Environment) -> None:
    url = "postgresql://lh_owner:hidden@127.0.0.1:1/leasehold"
    refused = leasehold("migrate", "all", env={**installed, "LEASEHOLD_OWNER_URL": url})
    assert refusal_of(refused).startswith("The database cannot be reached")
    assert "hidden" not in refused.stderr
