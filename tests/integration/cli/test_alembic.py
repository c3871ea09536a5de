"""The ordinary Alembic commands on both histories: on the reference schema, and with `-x tenant=` on one tenant."""

import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.fleets import HEAD
from tests.integration.cli.shell import PROJECT, Environment, alembic, succeeded

COLUMN = '    op.add_column("items", sa.Column("colour", sa.Text()))\n'


@pytest.fixture(scope="session")
def migrated(new_database: Callable[[str], Environment], provision: Callable[..., None]) -> Environment:
    """An installation with two tenants at head."""
    env = new_database("alembic")
    provision(env, "acme", "globex")
    return env


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of alembic.ini and of the migrations, to write revisions into."""
    shutil.copy(PROJECT / "alembic.ini", tmp_path)
    shutil.copytree(PROJECT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def versions(checkout: Path, history: str) -> set[Path]:
    return set((checkout / "migrations" / history / "versions").glob("*.py"))


def columns(env: Environment, slug: str | None) -> set[str]:
    """Return the columns of `items` in a tenant's schema, or in the reference schema."""
    with psycopg.connect(env["LEASEHOLD_OWNER_URL"]) as connection:
        rows = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'items' AND table_schema ="
            " coalesce((SELECT schema_name FROM platform.tenants WHERE slug = %s), 'tenant_reference')",
            [slug],
        ).fetchall()
    return {row[0] for row in rows}


@pytest.mark.parametrize("history", ["platform", "tenant"])
def test_a_history_is_listed_and_the_database_stands_at_its_head(migrated: Environment, history: str) -> None:
    listed = succeeded(alembic("-n", history, "history", env=migrated)).splitlines()
    assert listed[-1] == f"<base> -> 0001{' (head)' if len(listed) == 1 else ''}, first tables"
    head = listed[0].partition(" -> ")[2].partition(" ")[0]
    assert succeeded(alembic("-n", history, "current", env=migrated)).splitlines() == [f"{head} (head)"]


@pytest.mark.parametrize("history", ["platform", "tenant"])
def test_the_unchanged_model_proposes_nothing(migrated: Environment, history: str) -> None:
    assert "No new upgrade operations detected." in succeeded(alembic("-n", history, "check", env=migrated))


def test_autogenerate_on_the_unchanged_model_writes_an_empty_revision(migrated: Environment, checkout: Path) -> None:
    before = versions(checkout, "tenant")
    command = ("-n", "tenant", "revision", "--autogenerate", "-m", "nothing new")
    succeeded(alembic(*command, env=migrated, folder=checkout))
    [written] = versions(checkout, "tenant") - before
    assert written.name.endswith("_nothing_new.py")
    assert f'down_revision = "{HEAD}"' in written.read_text()
    assert "op." not in written.read_text()


def test_a_revision_goes_up_and_down_on_the_reference_schema_and_touches_no_tenant(
    migrated: Environment, checkout: Path
) -> None:
    env = {**migrated, "LEASEHOLD_MIGRATIONS_DIR": str(checkout / "migrations")}
    written = _revision_with_a_column(env, checkout)
    assert "colour" not in columns(env, None)
    succeeded(alembic("-n", "tenant", "upgrade", "head", env=env, folder=checkout))
    assert "colour" in columns(env, None)
    assert succeeded(alembic("-n", "tenant", "current", env=env, folder=checkout)).strip() == f"{written} (head)"
    assert "colour" not in columns(env, "acme") | columns(env, "globex")
    succeeded(alembic("-n", "tenant", "downgrade", "-1", env=env, folder=checkout))
    assert "colour" not in columns(env, None)
    assert succeeded(alembic("-n", "tenant", "current", env=env, folder=checkout)).strip() == HEAD


def test_one_tenant_goes_up_and_down_alone(migrated: Environment, checkout: Path) -> None:
    env = {**migrated, "LEASEHOLD_MIGRATIONS_DIR": str(checkout / "migrations")}
    written = _revision_with_a_column(env, checkout)
    one = ("-n", "tenant", "-x", "tenant=acme")
    assert succeeded(alembic(*one, "upgrade", "head", env=env, folder=checkout)) == f"acme: {HEAD} -> {written}\n"
    assert "colour" in columns(env, "acme")
    assert "colour" not in columns(env, "globex") | columns(env, None)
    assert succeeded(alembic(*one, "current", env=env, folder=checkout)).strip() == f"{written} (head)"
    assert succeeded(alembic(*one, "downgrade", "-1", env=env, folder=checkout)) == f"acme: {written} -> {HEAD}\n"
    assert "colour" not in columns(env, "acme")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-x", "tenant=nobody", "upgrade", "head"), "There is no tenant nobody."),
        (("-x", "tenant=acme", "upgrade", "0815"), "0815"),
    ],
)
def test_what_is_wrong_about_one_tenant_is_said_without_a_traceback(
    migrated: Environment, arguments: tuple[str, ...], words: str
) -> None:
    refused = alembic("-n", "tenant", *arguments, env=migrated)
    assert refused.returncode != 0
    assert words in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr


def test_a_database_that_does_not_answer_is_said_without_a_traceback(migrated: Environment) -> None:
    url = "postgresql://lh_owner:hidden@127.0.0.1:1/leasehold"
    refused = alembic("-n", "tenant", "current", env={**migrated, "LEASEHOLD_OWNER_URL": url})
    assert refused.returncode != 0
    assert "Traceback" not in refused.stdout + refused.stderr


def _revision_with_a_column(env: Environment, checkout: Path) -> str:
    """Write a revision by hand, as `alembic revision` begins it, and return its id."""
    before = versions(checkout, "tenant")
    succeeded(alembic("-n", "tenant", "revision", "-m", "colour of items", env=env, folder=checkout))
    [written] = versions(checkout, "tenant") - before
    up, _, down = written.read_text().partition("def downgrade")
    down = down.replace("    pass\n", '    op.drop_column("items", "colour")\n')
    written.write_text(up.replace("    pass\n", COLUMN) + "def downgrade" + down)
    return written.name.partition("_")[0]
