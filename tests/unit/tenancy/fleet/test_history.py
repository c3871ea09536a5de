"""The line of revisions of the tenant schemas."""

from pathlib import Path

import pytest

from leasehold.tenancy.fleet.history import BrokenHistory, TenantHistory, UnknownRevision
from tests.unit.tenancy.fleet.scratch import Step, history_of, write_history


@pytest.fixture
def history(tmp_path: Path) -> TenantHistory:
    return history_of(
        tmp_path,
        Step("a1"),
        Step("b2", "a1", extra='served_by = "a1"'),
        Step("b3", "b2"),
        Step("c4", "b3", extra='served_by = "b3"'),
        Step("d5", "c4"),
    )


def test_the_revisions_stand_in_one_line_oldest_first(history: TenantHistory) -> None:
    assert history.revisions == ("a1", "b2", "b3", "c4", "d5")
    assert history.head == "d5"


def test_the_history_of_the_product_has_one_head(project: Path) -> None:
    assert TenantHistory.load(project / "migrations").revisions[0] == "0001"


def test_an_empty_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenHistory, match="it has 0 heads"):
        history_of(tmp_path)


def test_a_history_with_two_heads_is_refused_by_their_names(tmp_path: Path) -> None:
    with pytest.raises(BrokenHistory, match=r"it has 2 heads \((b2, b3|b3, b2)\), not one"):
        history_of(tmp_path, Step("a1"), Step("b2", "a1"), Step("b3", "a1"))


def test_a_history_with_two_beginnings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenHistory, match="it has 2 heads"):
        history_of(tmp_path, Step("a1"), Step("b1"))


def test_a_history_that_forks_and_merges_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenHistory):
        history_of(tmp_path, Step("a1"), Step("b2", "a1"), Step("b3", "a1"), Step("c4", ("b2", "b3")))


def test_a_history_that_runs_in_a_circle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenHistory, match="Cycle"):
        history_of(tmp_path, Step("a1", "b2"), Step("b2", "a1"))


@pytest.mark.filterwarnings("ignore:Revision .* is not present")
def test_a_history_with_a_missing_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenHistory):
        history_of(tmp_path, Step("a1"), Step("c3", "b2"))


@pytest.mark.filterwarnings("ignore:Revision .* is present more than once")
def test_a_history_with_one_revision_twice_is_refused(tmp_path: Path) -> None:
    write_history(tmp_path, Step("a1"))
    (tmp_path / "tenant" / "versions" / "copy.py").write_text('revision = "a1"\ndown_revision = None\n')
    with pytest.raises(BrokenHistory):
        TenantHistory.load(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenHistory):
        TenantHistory.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("given", "found"),
    [("head", "d5"), ("a1", "a1"), ("b3", "b3"), ("d5", "d5")],
)
def test_a_revision_is_found_by_its_name(history: TenantHistory, given: str, found: str) -> None:
    assert history.resolve(given) == found


def test_a_revision_is_found_by_a_unique_beginning_of_four_letters(tmp_path: Path) -> None:
    history = history_of(tmp_path, Step("abcd11"), Step("abce22", "abcd11"))
    assert history.resolve("abcd") == "abcd11"


@pytest.mark.parametrize("given", ["", "zz", "b", "base", "a1:d5", "'; DROP", "d5+1"])
def test_a_revision_that_is_not_there_is_refused(history: TenantHistory, given: str) -> None:
    with pytest.raises(UnknownRevision):
        history.resolve(given)


@pytest.mark.parametrize(
    ("current", "given", "found"),
    [
        ("b3", "-1", "b2"),
        ("b3", "-2", "a1"),
        ("b3", "+1", "c4"),
        ("b3", "+2", "d5"),
        ("b3", "+0", "b3"),
        ("b3", "head", "d5"),
        ("d5", "a1", "a1"),
    ],
)
def test_a_revision_may_be_given_relative_to_where_a_schema_stands(
    history: TenantHistory, current: str, given: str, found: str
) -> None:
    assert history.resolve_from(current, given) == found


@pytest.mark.parametrize(
    ("current", "given"),
    [
        ("b3", "-3"),
        ("b3", "+3"),
        ("a1", "-1"),
        ("d5", "+1"),
        ("b3", "-"),
        ("b3", "+x"),
        ("b3", "-²"),
        ("b3", "base"),
        ("unknown", "-1"),
    ],
)
def test_a_step_that_leads_out_of_the_history_is_refused(history: TenantHistory, current: str, given: str) -> None:
    with pytest.raises(UnknownRevision):
        history.resolve_from(current, given)


@pytest.mark.parametrize(("revision", "oldest"), [("a1", "a1"), ("b2", "a1"), ("b3", "a1"), ("c4", "b3"), ("d5", "b3")])
def test_a_revision_is_served_by_what_served_the_one_before_unless_it_says_otherwise(
    history: TenantHistory, revision: str, oldest: str
) -> None:
    assert history.served_by(revision) == oldest


def test_a_history_that_declares_nothing_is_served_by_its_first_revision(tmp_path: Path) -> None:
    assert history_of(tmp_path, Step("a1"), Step("b2", "a1")).served_by("b2") == "a1"


def test_being_served_by_a_revision_that_is_not_there_is_refused(tmp_path: Path) -> None:
    history = history_of(tmp_path, Step("a1", extra='served_by = "zz"'))
    with pytest.raises(UnknownRevision):
        history.served_by("a1")


@pytest.mark.parametrize(
    ("start", "target", "applied"),
    [
        (None, "d5", ["a1", "b2", "b3", "c4", "d5"]),
        (None, "a1", ["a1"]),
        ("a1", "b3", ["b2", "b3"]),
        ("c4", "d5", ["d5"]),
        ("d5", "d5", []),
        ("d5", "b2", []),
    ],
)
def test_a_path_is_what_an_upgrade_applies(
    history: TenantHistory, start: str | None, target: str, applied: list[str]
) -> None:
    assert list(history.path(start, target)) == applied
