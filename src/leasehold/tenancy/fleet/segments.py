"""What a rendering is made of."""

from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Segment:
    """Statements that run together: in one transaction, or each on its own where PostgreSQL demands that.

    A live segment has no statements: its revision looks at each schema, and is run there.
    """

    statements: tuple[str, ...]
    autocommit: bool
    start: str | None
    """Where the version row stands before it."""
    end: str | None
    """Where it stands after it."""
    is_live: bool = False

    @property
    def script(self) -> str:
        """All statements as one text; the semicolons stand on lines of their own, where no comment swallows them."""
        return "\n;\n".join(self.statements)


@dataclass(frozen=True, slots=True)
class Rendering:
    """The SQL that brings a schema from one revision (None: empty) to another. It names no schema."""

    start: str | None
    target: str
    segments: tuple[Segment, ...]
    places: tuple[str, ...] = ()
    """File and line where each statement was said, those of live revisions not counted."""

    @property
    def phases(self) -> tuple[tuple[Segment, ...], ...]:
        """The segments in groups that all tenants of a wave go through together.

        What runs outside a transaction waits for the transactions of all tenants, so it has a phase of its own.
        """
        groups = groupby(self.segments, key=lambda segment: segment.autocommit)
        return tuple(tuple(group) for _, group in groups)

    @property
    def statements(self) -> tuple[str, ...]:
        """All statements in their order, those of live revisions left out."""
        return tuple(statement for segment in self.segments for statement in segment.statements)
