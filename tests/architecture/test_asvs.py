"""The table of OWASP ASVS: no requirement of levels 1 and 2 is left out, and all that it points to is there."""

import re
from collections import Counter
from typing import NamedTuple

from tests.architecture.source import ROOT

PAGE = ROOT / "docs" / "reference" / "asvs.md"

# Version 5.0.0: how many requirements each section has, and which of them are of level 3.
_SECTIONS = """
1.1:2 1.2:10 1.3:12 1.4:3 1.5:3 2.1:3 2.2:3 2.3:5 2.4:2 3.1:1 3.2:3 3.3:5 3.4:8 3.5:8 3.6:1 3.7:5 4.1:5 4.2:5 4.3:2
4.4:4 5.1:1 5.2:6 5.3:3 5.4:3 6.1:3 6.2:12 6.3:8 6.4:6 6.5:8 6.6:4 6.7:2 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:3 7.6:2
8.1:4 8.2:4 8.3:3 8.4:2 9.1:3 9.2:4 10.1:2 10.2:3 10.3:5 10.4:16 10.5:5 10.6:2 10.7:3 11.1:4 11.2:5 11.3:5 11.4:4
11.5:2 11.6:2 11.7:2 12.1:5 12.2:2 12.3:5 13.1:4 13.2:6 13.3:4 13.4:7 14.1:2 14.2:8 14.3:3 15.1:5 15.2:5 15.3:7 15.4:4
16.1:1 16.2:5 16.3:4 16.4:3 16.5:4 17.1:2 17.2:8 17.3:2
"""
_LEVEL_3 = """
1.2.10 1.3.12 1.5.3 2.3.5 2.4.2 3.1.1 3.2.3 3.3.5 3.4.7 3.4.8 3.5.6 3.5.7 3.5.8 3.6.1 3.7.3 3.7.4 3.7.5 4.1.4 4.1.5
4.2.2 4.2.3 4.2.4 4.2.5 5.2.4 5.2.5 5.2.6 5.3.3 6.3.5 6.3.6 6.3.7 6.3.8 6.4.5 6.4.6 6.5.6 6.5.7 6.5.8 6.6.4 6.7.1
6.7.2 7.5.3 8.1.3 8.1.4 8.2.4 8.3.2 8.3.3 8.4.2 10.2.3 10.3.5 10.4.12 10.4.13 10.4.14 10.4.15 10.4.16 11.1.3 11.1.4
11.2.4 11.2.5 11.3.4 11.3.5 11.5.2 11.6.2 11.7.1 11.7.2 12.1.4 12.1.5 12.3.5 13.1.2 13.1.3 13.1.4 13.2.6 13.3.3 13.3.4
13.4.6 13.4.7 14.2.5 14.2.6 14.2.7 14.2.8 15.1.4 15.1.5 15.2.4 15.2.5 15.4.1 15.4.2 15.4.3 15.4.4 16.5.4 17.1.2 17.2.5
17.2.6 17.2.7 17.2.8
"""
_STATES = {"met", "operator", "n/a", "open"}
_PLACE = re.compile(r"`((?:src|tests|docs|requirements|deploy)/[^`]+|SECURITY\.md|pyproject\.toml)`")


class Row(NamedTuple):
    """A line of the table."""

    ids: list[str]
    level: str
    state: str
    where: str


def _rows() -> list[Row]:
    lines = re.findall(r"^\| ([0-9., ]+) \| ([12]) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return [Row(ids.split(", "), level, state, where) for ids, level, state, where in lines]


def test_every_requirement_of_levels_1_and_2_has_its_line() -> None:
    """Prevents a table from which what is awkward was left out."""
    counts = [one.split(":") for one in _SECTIONS.split()]
    all_of_them = [f"{section}.{number}" for section, count in counts for number in range(1, int(count) + 1)]
    assert len(all_of_them) == 345
    wanted = set(all_of_them) - set(_LEVEL_3.split())
    found = Counter(name for row in _rows() for name in row.ids)
    assert found == Counter(wanted)
    levels = Counter(row.level for row in _rows() for _ in row.ids)
    assert levels == {"1": 70, "2": 183}


def test_every_line_says_what_is_the_case_and_why() -> None:
    for row in _rows():
        assert row.state in _STATES, row
        assert row.where.strip(), row


def test_whatever_a_line_points_to_is_there() -> None:
    """Prevents a requirement that was met by a test which has gone since."""
    for page in (PAGE, ROOT / "docs" / "reference" / "threat-model.md"):
        places = _PLACE.findall(page.read_text())
        assert len(places) > 40, page
        assert [place for place in places if not (ROOT / place).exists()] == [], page


def test_what_is_open_is_summed_up() -> None:
    """Prevents an open requirement that only who reads the whole table finds."""
    states = Counter(row.state for row in _rows() for _ in row.ids)
    summary = " ".join(f"{states[state]} {state}" for state in ("met", "operator", "n/a", "open"))
    assert f"({summary})" in PAGE.read_text(), summary
