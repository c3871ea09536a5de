"""docs/tutorial/add-a-resource.md, followed to the letter in a scratch copy of the repository."""

from pathlib import Path

from tests.architecture.source import ROOT
from tests.tutorial.blocks import assert_seen, blocks_of, follow
from tests.tutorial.checkout import checkout
from tests.tutorial.checks import assert_kept

TUTORIAL = ROOT / "docs" / "tutorial" / "add-a-resource.md"


def test_who_follows_the_tutorial_has_a_resource_that_passes_its_tests_and_all_checks(
    tmp_path: Path, admin_url: str
) -> None:
    blocks = [block for block in blocks_of(TUTORIAL.read_text()) if not block.is_by_hand]
    assert {block.language for block in blocks} == {"python", "diff", "sh", "text"}
    assert len(blocks) >= 20
    printed = ""
    with checkout(tmp_path / "tutorial", admin_url) as scratch:
        for block in blocks:
            if block.language == "sh":
                printed = scratch.run(block.text)
            elif block.language == "text":
                assert_seen(block.text, printed)
            else:
                follow(TUTORIAL, block, scratch.folder)
        assert_kept(scratch)
