"""The skeleton of a resource, before it is written."""

import shutil
from pathlib import Path

import pytest

from scaffold.words import Refused, words_of
from scaffold.writing import skeleton_of
from tests.architecture.source import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what is looked at."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("src", "tests", "migrations", "docs/reference"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_what_has_no_place_any_more_is_left_to_be_put_there_by_hand(checkout: Path) -> None:
    features = checkout / "src/leasehold/workspace/features.py"
    features.write_text(features.read_text().replace("V1_ROUTES = (\n", "V1_ROUTES = ROUTES = (\n"))
    skeleton = skeleton_of(words_of("notes"), checkout)
    assert skeleton.by_hand == {"src/leasehold/workspace/features.py": ["    notes_router,\n"]}
    assert "import router as notes_router\n" in skeleton.changed["src/leasehold/workspace/features.py"]
    assert skeleton_of(words_of("notes"), ROOT).by_hand == {}


def test_the_migration_follows_the_head(checkout: Path) -> None:
    versions = checkout / "migrations/tenant/versions"
    head = max(versions.glob("0*.py")).name[:4]
    (made,) = (place for place in skeleton_of(words_of("notes"), checkout).new if place.startswith("migrations"))
    assert made == f"migrations/tenant/versions/{int(head) + 1:04}_notes.py"
    for name in ("a1", "b2"):
        (versions / f"{name}_more.py").write_text(f'revision = "{name}"\ndown_revision = "{head}"\n')
    with pytest.raises(Refused, match="has 2 heads"):
        skeleton_of(words_of("notes"), checkout)


@pytest.mark.parametrize("place", ["tests/api/test_notes.py", "src/leasehold/workspace/notes.py"])
def test_a_file_that_is_there_is_not_overwritten(checkout: Path, place: str) -> None:
    (checkout / place).write_text("")
    with pytest.raises(Refused, match="is there already"):
        skeleton_of(words_of("notes"), checkout)
