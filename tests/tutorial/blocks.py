"""What a reader of a tutorial does with each of its blocks.

The first path in the paragraph above a block says which file it is about: a whole file, or with `...` in its name a
part of one that a command has written. A `diff` changes a file, `sh` is run, and `text` is what was then seen, where
`...` stands for anything. A block under `<!-- by hand -->` needs a server on the reader's own port, and is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PATH = re.compile(r"`([\w./-]+(?:/[\w.-]+|\.toml))`")
_BY_HAND = "<!-- by hand -->"


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    path: str | None
    is_by_hand: bool


def blocks_of(document: str) -> Iterator[Block]:
    """Return the blocks of a tutorial in their order."""
    outside, *fenced = re.split(r"^```", document, flags=re.MULTILINE)
    for opened, behind in zip(fenced[::2], fenced[1::2], strict=True):
        above = outside.rstrip("\n").rpartition("\n\n")[2]
        language, _, text = opened.partition("\n")
        path = _PATH.search(above)
        yield Block(language, text, path[1] if path else None, _BY_HAND in above)
        outside = behind


def edited(content: str, diff: str) -> str:
    """Return a file as a diff without line numbers makes it: each part must fit one place of whole lines, and no other.

    A line without a mark is an empty one that stays.
    """
    for part in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        marked = [(line[:1] or " ", line[1:]) for line in part.splitlines()]
        assert {mark for mark, _ in marked} <= {" ", "+", "-"}, part
        before = "".join(f"{line}\n" for mark, line in marked if mark != "+")
        after = "".join(f"{line}\n" for mark, line in marked if mark != "-")
        places = [found.start() for found in re.finditer("^" + re.escape(before), content, re.MULTILINE)]
        assert len(places) == 1, f"fits {len(places)} places:\n{part}"
        content = content[: places[0]] + after + content[places[0] + len(before) :]
    return content


def assert_seen(expected: str, output: str) -> None:
    """Fail unless each line that a tutorial shows was printed, in this order."""
    lines = iter(output.splitlines())
    for line in expected.splitlines():
        pattern = ".*".join(re.escape(part) for part in line.split("..."))
        assert any(re.fullmatch(pattern, printed) for printed in lines), f"{line!r} was not printed:\n{output}"


def follow(document: Path, block: Block, folder: Path) -> None:
    """Write or change the file that a block is about, or find what it shows of one."""
    assert block.path is not None, f"no path stands above in {document.name}:\n{block.text}"
    if block.language == "diff":
        path = folder / block.path
        path.write_text(edited(path.read_text(), block.text))
    elif "..." in block.path:
        (path,) = folder.glob(block.path.replace("...", "*"))
        assert block.text in path.read_text(), path.read_text()
    else:
        path = folder / block.path
        assert not path.exists(), path
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text)
