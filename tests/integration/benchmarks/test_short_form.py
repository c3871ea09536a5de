"""The benchmark still works; how fast anything is, is not tested."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_PEERS = (
    "Leasehold, all of it",
    "L1: raw ASGI + asyncpg, qualified names",
    "L1b: raw ASGI + asyncpg, bound transaction",
    "Litestar + Advanced Alchemy, the usual way",
)
_WAYS = (
    "Leasehold, all of it",
    "by hand on asyncpg, a message per tenant",
    "by hand on asyncpg, a message per statement",
    "`command.upgrade` per tenant, in one process",
    "`alembic upgrade` per tenant, a process each",
    "by hand on asyncpg",
)
_TIMEOUT_S = 300.0


def _benchmarks(project: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LEASEHOLD_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def test_the_short_form_measures_every_operation_of_every_peer_that_needs_no_environment(
    project: Path, tmp_path: Path
) -> None:
    finished = _benchmarks(project, "requests", "--short", "--output", tmp_path)

    assert finished.returncode == 0, finished.stderr
    table = (tmp_path / "requests.md").read_text()
    assert table.strip() == finished.stdout.strip()
    assert [line for line in table.splitlines() if line.startswith("## ")] == [
        "## GET one item, 3 tenants",
        "## GET a page of 20, 3 tenants",
        "## POST an item, 3 tenants",
    ]
    for title in _PEERS:
        assert table.count(f"\n| {title} |") == 3, table


def test_the_cost_of_roles_is_measured(project: Path) -> None:
    finished = _benchmarks(project, "roles", "--counts", "20,40", "--seconds", "0.5", "--every", "0.2")

    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("\n| 20 |") == finished.stdout.count("\n| 40 |") == 1


def test_memory_is_watched_and_its_growth_is_put_in_one_line(project: Path, tmp_path: Path) -> None:
    finished = _benchmarks(project, "memory", "--short", "--output", tmp_path)

    assert finished.returncode == 0, finished.stderr
    text = (tmp_path / "memory.md").read_text()
    assert text.strip() == finished.stdout.strip()
    assert sum("MiB" in line for line in text.splitlines()) == 7
    verdict = text.splitlines()[-1]
    assert re.fullmatch(r"Last third over middle third, medians: server \d\.\d\dx, PostgreSQL \d\.\d\dx", verdict)


def test_migrations_are_measured_beside_what_is_written_by_hand_and_beside_alembic(
    project: Path, tmp_path: Path
) -> None:
    finished = _benchmarks(project, "migrate", "--short", "--output", tmp_path)

    assert finished.returncode == 0, finished.stderr
    text = (tmp_path / "migrate.md").read_text()
    assert text.strip() == finished.stdout.strip()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## A column, an index and a table for 24 tenants",
        "## Nothing to do for 50 tenants",
        "## Memory of the runner",
        "## A new tenant",
    ]
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert {f"| {way}" for way in _WAYS} <= set(rows), text


def test_what_can_be_measured_is_listed(project: Path) -> None:
    finished = _benchmarks(project)

    assert finished.returncode == 0, finished.stderr
    assert {"requests", "roles", "memory", "migrate"} <= set(finished.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["requests", "--only", "nonsense"], ["memory", "--every", "90"], ["migrate", "--tenants", "9"]],
)
def test_what_cannot_be_measured_is_refused(project: Path, arguments: list[str]) -> None:
    assert _benchmarks(project, *arguments).returncode == 2


def test_claims_builds_and_purges_are_measured_beside_what_is_written_by_hand(project: Path, tmp_path: Path) -> None:
    finished = _benchmarks(project, "provision", "--short", "--output", tmp_path)

    assert finished.returncode == 0, finished.stderr
    table = (tmp_path / "provision.md").read_text()
    assert table.strip() == finished.stdout.strip()
    for title in ("Leasehold", "by hand on asyncpg"):
        assert table.count(f"\n| {title} | 10 |") == 3, table
    assert "## 50 who sign up at once, 1 times" in table


def test_an_archive_is_measured_beside_a_dump_alone_and_among_others(project: Path, tmp_path: Path) -> None:
    finished = _benchmarks(project, "archive", "--short", "--output", tmp_path)

    assert finished.returncode == 0, finished.stderr
    text = (tmp_path / "archive.md").read_text()
    assert text.strip() == finished.stdout.strip()
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")] == ["| others", "| 0", "| 3"]
    assert text.splitlines()[-1].startswith("3 others / 0 others: export ")


def test_what_quiet_tenants_notice_of_a_noisy_one_is_measured_with_and_without_what_holds_it_back(
    project: Path, tmp_path: Path
) -> None:
    finished = _benchmarks(project, "neighbours", "--short", "--only", "slow", "--output", tmp_path)

    assert finished.returncode == 0, finished.stderr
    table = (tmp_path / "neighbours.md").read_text()
    assert table.strip() == finished.stdout.strip()
    rows = [line.split(" | ")[:2] for line in table.splitlines() if line.startswith(("| nothing", "| slow"))]
    assert rows == [
        ["| nothing", "held back, as by default"],
        ["| nothing", "not held back"],
        ["| slow searches", "held back, as by default"],
        ["| slow searches", "not held back"],
    ]


def test_what_it_costs_to_be_seen_is_measured_way_by_way(project: Path, tmp_path: Path) -> None:
    finished = _benchmarks(project, "observe", "--short", "--output", tmp_path)

    assert finished.returncode == 0, finished.stderr
    table = (tmp_path / "observe.md").read_text()
    assert table.strip() == finished.stdout.strip()
    for way in ("as always", "metrics", "a span that is not sampled", "a span that is", "where slow ones are logged"):
        assert table.count(f"{way} | ") == 1, table
