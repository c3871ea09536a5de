"""What a rendering is made of."""

from dataclasses import dataclass


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

    @property
    def statement_count(self) -> int:
        """How many statements one schema takes, those of live revisions not counted."""
        return sum(len(segment.statements) for segment in self.segments)
