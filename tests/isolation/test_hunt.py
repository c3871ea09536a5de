"""A hunt for leaks over HTTP, against several server processes: `just hunt` does it for long.

The last test hunts in servers that leak on purpose: if nothing were found there, nothing would have been proven here.
"""

import os
from collections.abc import Generator
from itertools import islice
from pathlib import Path

import pytest

from leasehold.config import Settings
from tests.bouncer import ASKED
from tests.conftest import installed, migrate
from tests.factories import new_slug
from tests.integration.cli.shell import PROJECT
from tests.isolation.hunt.decisions import decisions
from tests.isolation.hunt.hunting import Plan, hunt
from tests.isolation.hunt.mutants import MUTANTS, Mutant, mutated
from tests.isolation.hunt.trespasses import TRESPASSES
from tests.isolation.hunt.weather import KINDS
from tests.pooler import as_asked


def plan_of(text: str) -> Plan:
    """Return the plan that `operations tenants seed` stands for."""
    operations, tenants, seed = map(int, text.split())
    return Plan(operations, tenants, seed, hunters=8 if ASKED else 32)


LONG = os.environ.get("LEASEHOLD_HUNT")
PLAN = plan_of(LONG) if LONG else Plan(operations=1600, tenants=5, told_every_s=0.5)


@pytest.fixture(scope="module")
def installation(admin_url: str, worker_id: str) -> Generator[Settings]:
    """An installation of these tests alone."""
    with installed(admin_url, f"leasehold_hunt_{worker_id}_{new_slug()[2:]}") as made:
        migrate(made)
        yield made


@pytest.fixture
def own(installation: Settings) -> Generator[Settings]:
    """The installation, behind a pooler where that is asked for: one of its own, for a product that leaks binds it."""
    with as_asked(installation) as used:
        yield used


async def test_whatever_tenants_do_at_once_none_sees_or_changes_anything_of_another(
    own: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if LONG:
            with capsys.disabled():
                print(line, flush=True)  # noqa: T201

    found = await hunt(own, PLAN, tell=tell)
    if LONG:
        with capsys.disabled():
            print(f"\n{found.told}", *found.leaks, *found.faults, sep="\n")  # noqa: T201
    assert (found.leaks, found.faults) == ([], [])
    assert found.operations == PLAN.operations // PLAN.hunters * PLAN.hunters
    assert found.marks > found.operations
    # What did not happen, or was never judged, would prove nothing.
    assert [kind for kind in KINDS if not found.weather[kind]] == []
    assert [act.__name__ for act in TRESPASSES if not found.judged[act.__name__]] == []
    assert LONG or lines[0].startswith("operations ")


def test_what_is_decided_follows_from_the_seed_alone() -> None:
    def drawn(seed: int, hunter: int) -> list[object]:
        return list(islice(decisions(seed, hunter, tenants=5, weights={"read": 2, "create": 1}), 100))

    assert drawn(1, 0) == drawn(1, 0)
    assert drawn(1, 0) != drawn(2, 0)
    assert drawn(1, 0) != drawn(1, 1)
    assert all(one.tenant != one.other for one in islice(decisions(1, 0, tenants=2, weights={"read": 1}), 100))


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
async def test_a_product_that_leaks_is_found_out(
    own: Settings, mutant: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{mutated(mutant, tmp_path)}{os.pathsep}{PROJECT}")
    plan = Plan(operations=2000, tenants=5, servers=1, has_weather=False, is_over_at_a_leak=True)
    found = await hunt(own, plan, migrations_dir=str(PROJECT / "migrations"))
    assert found.leaks
