"""What the command says about the fleet and does to it: dry runs, SQL, canaries, ways back, drift, calls, JSON."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.fleets import ADD_COLUMN, ADD_INDEX, HEAD, behind_head
from tests.integration.cli.shell import PROJECT, Environment, leasehold, refusal_of, succeeded

CALLS = """
from sqlalchemy import text


async def count(session, tenant):
    await session.scalar(text("SELECT count(*) FROM items"))


async def fail(session, tenant):
    raise LookupError(f"nothing in {tenant.slug}")


def plain(session, tenant): ...
"""


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """The migrations with two more revisions of the tenants."""
    copy = tmp_path / "migrations"
    shutil.copytree(PROJECT / "migrations", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tenant" / "versions" / "9002_colour.py").write_text(behind_head(ADD_COLUMN))
    (copy / "tenant" / "versions" / "9003_index.py").write_text(behind_head(ADD_INDEX))
    return copy


@pytest.fixture
def fleet(
    request: pytest.FixtureRequest,
    new_database: Callable[[str], Environment],
    provision: Callable[..., None],
    migrations: Path,
) -> Environment:
    """An installation with the tenants acme and globex, two revisions behind the migrations."""
    env = new_database(f"fleet{abs(hash(request.node.name)) % 10**8}")
    provision({**env, "LEASEHOLD_MIGRATIONS_DIR": str(PROJECT / "migrations")}, "acme", "globex")
    return {**env, "LEASEHOLD_MIGRATIONS_DIR": str(migrations)}


def standing(env: Environment) -> dict[str, str]:
    """Return the revision of each tenant."""
    with psycopg.connect(env["LEASEHOLD_OWNER_URL"]) as connection:
        return dict(connection.execute("SELECT slug, revision FROM platform.tenants ORDER BY slug").fetchall())


def test_a_dry_run_names_what_would_be_run_on_which_tenants(fleet: Environment) -> None:
    told = succeeded(leasehold("migrate", "all", "--dry-run", "--canary", "globex", env=fleet))
    assert told.splitlines() == [
        f"{HEAD} -> 9003: 5 statements in each of 2 tenants: globex, acme",
        "canaries: 1 tenants",
        "wave 1: 1 tenants",
        "2 of 2 tenants would be migrated; nothing was touched",
    ]
    document = json.loads(succeeded(leasehold("migrate", "all", "--dry-run", "--json", env=fleet)))
    assert document["ways"] == [
        {"start": HEAD, "goal": "9003", "statements": 5, "segments": 3, "tenants": ["acme", "globex"]}
    ]
    assert standing(fleet) == {"acme": HEAD, "globex": HEAD}


def test_the_printed_sql_brings_a_tenant_where_the_engine_would(fleet: Environment) -> None:
    script = succeeded(leasehold("migrate", "sql", "acme", env=fleet))
    assert "CREATE INDEX CONCURRENTLY ix_items_colour ON items (colour);" in script
    with psycopg.connect(fleet["LEASEHOLD_OWNER_URL"], autocommit=True) as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
    assert standing(fleet) == {"acme": "9003", "globex": HEAD}
    assert succeeded(leasehold("migrate", "drift", "acme", env=fleet)) == "1 schemas compared, 0 differ\n"
    assert succeeded(leasehold("migrate", "sql", "acme", env=fleet)) == "-- acme stands there already\n"


def test_a_check_that_fails_after_the_canaries_stops_the_run(fleet: Environment) -> None:
    succeeded(leasehold("tenants", "flag-canary", "globex", env=fleet))
    stopped = leasehold("migrate", "all", "--verify", "echo looking; exit 7", env=fleet)
    assert stopped.returncode == 1
    wave, reason, summary = stopped.stdout.splitlines()
    assert wave.startswith("canaries: 1 done, 0 failed in ")
    assert reason == "stopped: the check `echo looking; exit 7` exited with status 7"
    assert summary == "migrated to 9003: 1 of 2 tenants, 0 failed, 1 left as they were"
    assert standing(fleet) == {"acme": HEAD, "globex": "9003"}
    assert "stopped (the check" in succeeded(leasehold("migrate", "history", env=fleet)).splitlines()[0]


def test_a_tenant_and_then_the_fleet_go_back(fleet: Environment) -> None:
    succeeded(leasehold("migrate", "all", env=fleet))
    back = succeeded(leasehold("migrate", "downgrade", "-1", "--only", "acme", env=fleet))
    assert back.splitlines()[-1] == "migrated by -1: 1 of 2 tenants, 0 failed"
    assert standing(fleet) == {"acme": "9002", "globex": "9003"}
    refusal = refusal_of(leasehold("migrate", "downgrade", HEAD, env=fleet))
    assert "`DROP TABLE tags` (9002_colour.py, line 14) destroys something" in refusal
    succeeded(leasehold("migrate", "downgrade", HEAD, "--allow-destructive", env=fleet))
    assert standing(fleet) == {"acme": HEAD, "globex": HEAD}


def test_findings_of_the_linter_are_shown_before_a_run_with_their_place(fleet: Environment) -> None:
    succeeded(leasehold("migrate", "all", env=fleet))
    told = succeeded(leasehold("migrate", "downgrade", "-1", env=fleet)).splitlines()
    assert told[0].startswith("9003_index.py, line 13: warning: require-concurrent-index-deletion")


def test_a_summary_for_a_program_stands_alone_on_standard_output(fleet: Environment) -> None:
    ran = leasehold("migrate", "all", "--json", env=fleet)
    summary = json.loads(succeeded(ran))
    assert {name: summary[name] for name in ("kind", "target", "fleet", "planned", "stopped")} == {
        "kind": "upgrade",
        "target": "9003",
        "fleet": 2,
        "planned": 2,
        "stopped": None,
    }
    assert sorted((each["slug"], each["error"]) for each in summary["results"]) == [("acme", None), ("globex", None)]
    status = json.loads(succeeded(leasehold("migrate", "status", "--json", env=fleet)))
    assert (status["head"], status["at_head"], status["stragglers"]) == ("9003", 2, [])
    history = json.loads(succeeded(leasehold("migrate", "history", "--json", "--limit", "1", env=fleet)))
    assert [(each["outcome"], each["succeeded"], each["failed"]) for each in history] == [("succeeded", 2, 0)]


def test_drift_is_named_and_ends_with_status_1(fleet: Environment) -> None:
    with psycopg.connect(fleet["LEASEHOLD_OWNER_URL"]) as connection:
        row = connection.execute("SELECT schema_name FROM platform.tenants WHERE slug = 'globex'").fetchone()
        assert row is not None
        connection.execute(f'ALTER TABLE "{row[0]}".items ADD COLUMN by_hand int'.encode())
    found = leasehold("migrate", "drift", "--all", env=fleet)
    assert found.returncode == 1
    assert found.stdout.splitlines() == [
        "2 schemas compared, 1 differ",
        f"globex (at {HEAD}) has, and not from the migrations, column items.by_hand integer",
    ]
    assert leasehold("migrate", "drift", env=fleet).returncode == 2


def test_a_function_is_called_for_every_tenant(fleet: Environment, tmp_path: Path) -> None:
    env = {**fleet, "LEASEHOLD_MIGRATIONS_DIR": str(PROJECT / "migrations"), "PYTHONPATH": str(tmp_path)}
    (tmp_path / "calls.py").write_text(CALLS)
    assert succeeded(leasehold("fleet", "run", "calls:count", env=env)) == (
        "calls:count called for 2 of 2 tenants, 0 failed\n"
    )
    failed = leasehold("fleet", "run", "calls:fail", "--only", "acme", env=env)
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[0] == f"failed: acme, from {HEAD}: LookupError: nothing in acme"
    for name in ("calls:plain", "calls:none", "nothing:count", "calls"):
        assert name in refusal_of(leasehold("fleet", "run", name, env=env))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "nobody"), "There is no tenant nobody."),
        (("--exclude", "acme,nobody"), "There is no tenant nobody."),
        (("--to", "0815"), "The tenant history has no revision 0815."),
    ],
)
def test_what_does_not_exist_is_one_sentence(fleet: Environment, arguments: tuple[str, ...], words: str) -> None:
    assert refusal_of(leasehold("migrate", "all", *arguments, env=fleet)) == words


def test_a_database_that_is_newer_than_the_code_is_one_sentence(fleet: Environment) -> None:
    succeeded(leasehold("migrate", "all", env=fleet))
    old = {**fleet, "LEASEHOLD_MIGRATIONS_DIR": str(PROJECT / "migrations")}
    assert "the database is newer than the code" in refusal_of(leasehold("migrate", "all", env=old))
