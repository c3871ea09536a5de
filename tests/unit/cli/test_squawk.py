"""What the linter of migrations is told, and what it says."""

import pytest

from leasehold.cli import squawk
from leasehold.cli.squawk import findings_of
from leasehold.tenancy.fleet.segments import Rendering, Segment

TABLE = "CREATE TABLE notes (\n    id uuid NOT NULL\n)"
INDEX = "CREATE INDEX ix_notes_id ON notes (id)"
DROP = "DROP INDEX CONCURRENTLY ix_items_id"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command goes on without a linter that takes seconds to start; a test has the time."""
    monkeypatch.setattr(squawk, "_TIMEOUT_S", 60)


def rendering(start: str, *segments: Segment) -> Rendering:
    """Return a rendering whose statements stand on lines 1, 2, ... of one file."""
    count = sum(len(segment.statements) for segment in segments)
    return Rendering(start, "0003", segments, tuple(f"0003.py, line {line}" for line in range(1, count + 1)))


def test_an_index_on_a_table_that_the_same_transaction_makes_is_no_finding() -> None:
    made = Segment((TABLE, INDEX), autocommit=False, start="0002", end="0003")
    dropped = Segment((DROP,), autocommit=True, start="0001", end="0002")
    assert findings_of([rendering("0001", dropped, made)]) == []


def test_an_index_on_a_table_that_is_there_is_a_finding_at_its_place_told_once() -> None:
    first = Segment((TABLE,), autocommit=False, start="0001", end="0002")
    second = Segment((INDEX,), autocommit=False, start="0002", end="0003")
    (told,) = findings_of([rendering("0001", first, second)])
    assert told.startswith("0003.py, line 2: warning: require-concurrent-index-creation")
    twice = [
        Rendering("0002", "0003", (second,), ("0003.py, line 2",)),
        Rendering("0001", "0003", (second,), ("0003.py, line 2",)),
    ]
    assert findings_of(twice) == [told]
