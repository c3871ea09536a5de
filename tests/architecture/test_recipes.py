"""The recipes that documentation, deploys and CI call by name."""

import json
import re
import shutil
import subprocess

import pytest

from tests.architecture.source import ROOT

_DOCUMENTED = re.compile(r"^(?:# (?P<doc>.+)\n)?(?P<name>[a-z][a-z-]*)[^:=\n]*:(?!=)", re.MULTILINE)


@pytest.fixture(scope="module")
def recipes() -> dict[str, str | None]:
    """Each public recipe with its one line of documentation."""
    just = shutil.which("just")
    if just is not None:
        dumped = subprocess.run(
            [just, "--dump", "--dump-format", "json"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        found = json.loads(dumped.stdout)["recipes"].values()
        return {recipe["name"]: recipe["doc"] for recipe in found if not recipe["private"]}
    return {match["name"]: match["doc"] for match in _DOCUMENTED.finditer((ROOT / "Justfile").read_text())}


@pytest.mark.parametrize(
    "name",
    [
        "setup",
        "up",
        "test",
        "lint",
        "types",
        "ci",
        "migrate-all",
        "revision",
        "history",
        "current",
        "downgrade",
        "new-tenant",
        "new-resource",
        "lock",
        "bench",
    ],
)
def test_the_recipe_is_there(recipes: dict[str, str | None], name: str) -> None:
    """Prevents a deploy that stops because a recipe was renamed."""
    assert name in recipes


def test_every_recipe_says_what_it_does(recipes: dict[str, str | None]) -> None:
    """Prevents recipes that are tried out on production to see what they do."""
    assert [name for name, doc in recipes.items() if not doc] == []


def test_continuous_integration_runs_style_types_and_tests() -> None:
    """Prevents a green run that left one of the three out."""
    assert re.search(r"^ci: lint types test\b(?!-)", (ROOT / "Justfile").read_text(), re.MULTILINE)
