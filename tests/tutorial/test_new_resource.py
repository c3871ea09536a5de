"""`just new-resource`: what it writes passes everything as it is, and where it cannot write well it writes nothing."""

from pathlib import Path

from tests.tutorial.checkout import checkout
from tests.tutorial.checks import assert_kept

REFUSALS = {
    "items": "`src/leasehold/workspace/items` is there already.",
    "scopes": "`src/leasehold/workspace/scopes` is there already.",
    "audit_events": "`src/leasehold/tenancy/audit/models.py` has a table `audit_events` already.",
    "profiles": "The API has a schema `Profile` already.",
    "pages": "`tests/api/test_pages.py` is there already.",
    "actors": "`Actor` means something else in `src/leasehold/workspace/actors/routes.py` already; take another name.",
    "rows": "`row` means something else in `tests/api/test_rows.py` already; take another name.",
    "Notes": "`Notes` cannot be a name: it takes up to 30 small letters a to z, with a single `_` between two words.",
    "../../notes": "`../../notes` cannot be a name: it takes up to 30 small letters a to z,"
    " with a single `_` between two words.",
    "people": "The name is a plural, as `items` is, and the singular of `people` cannot be told: say it with --one.",
    "classes --one class": "`class` is a keyword of Python; say another singular with --one, or take another name.",
}


def test_a_skeleton_passes_its_tests_and_all_checks(tmp_path: Path, admin_url: str) -> None:
    with checkout(tmp_path / "skeleton", admin_url) as scratch:
        before = scratch.files()
        for arguments, sentence in REFUSALS.items():
            refused = scratch.run(f"just new-resource {arguments}", status=2)
            assert refused.splitlines()[0] == f"new-resource: {sentence}"
        assert scratch.files() == before
        printed = scratch.run("just new-resource price_lists")
        written, _, named = printed.partition("written:\n")[2].partition("named in:\n")
        assert {line.strip() for line in written.splitlines()} == scratch.files().keys() - before.keys()
        assert {line.strip() for line in named.partition("\n\n")[0].splitlines()} | {"docs/reference/openapi.json"} == {
            path for path, content in scratch.files().items() if before.get(path, content) != content
        }
        assert "by hand" not in printed
        scratch.run("just new-resource people --one officer")  # behind the first one, and `an officer`
        scratch.run("just migrate-all")
        scratch.run("just lint")
        scratch.run(".venv/bin/pyright src/leasehold/workspace")
        tests = ("tests/api/test_price_lists.py", "tests/api/test_people.py", "tests/isolation/test_routes.py")
        assert_kept(scratch, *tests)
