"""What Alembic writes to in place of a database: it cuts what is said into segments, and refuses what may not be."""

import inspect
import io
import re
import traceback
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer

from leasehold.tenancy.fleet.refusals import refusal_of
from leasehold.tenancy.fleet.segments import Segment
from leasehold.tenancy.names import VERSION_TABLE

_ALEMBICS_REMARK = re.compile(r"-- Running (?P<way>\w+) [^\n]*-> ?(?P<revision>\S*)")


class NoDatabase:
    """Stands where a revision would find a connection: rendering has none, and a made-up answer would be wrong."""

    def __getattr__(self, name: str) -> NoReturn:
        raise LookupError(f"it asks the database (`get_bind().{name}`), but it is rendered once; mark it `live = True`")


class _NoSchema(PGIdentifierPreparer):
    """Refuses names of schemas, which would be the same for every tenant."""

    def quote_schema(self, schema: str) -> NoReturn:
        raise LookupError(f"it names the schema `{schema}`; a revision has no other than the bound one")


class SchemalessDialect(PGDialect_asyncpg):
    """The driver's dialect, without names of schemas."""

    preparer = _NoSchema
    supports_statement_cache = True


@dataclass
class _Step:
    """What one revision has said so far."""

    alone: int = 0
    together: int = 0
    is_live: bool = False


class Recorder(io.StringIO):
    """Receives what Alembic writes in offline mode, one statement a call, and cuts it into segments."""

    def __init__(self, folder: Path, start: str | None, *, contractions: Container[str] = ()) -> None:
        """Begin where a schema stands.

        Before a contraction a segment ends: if it fails, what came before it stays, and old code goes on.
        """
        super().__init__()
        self._contractions = contractions
        self.segments: list[Segment] = []
        self.places: list[str] = []
        """Where each statement was said, in the order of all statements."""
        self._folder = folder
        self._start = self._at = start
        self._pending: list[str] = []
        self._step = _Step()
        self._alone = False

    def write(self, text: str, /) -> int:
        """Take what Alembic says: one statement, or a remark of its own."""
        statement = text.strip().removesuffix(";").rstrip()
        if remark := _ALEMBICS_REMARK.fullmatch(statement):
            self._step = _Step()
            if remark["way"] == "upgrade" and remark["revision"] in self._contractions:
                self._cut()
        elif statement:
            self._add(statement)
        return len(text)

    def enter_autocommit(self) -> None:
        """Begin statements that run outside a transaction."""
        self._cut()
        self._alone = True

    def leave_autocommit(self) -> None:
        """Go back to statements that run in a transaction."""
        self._cut()
        self._alone = False

    def run_live(self, **_: object) -> None:
        """Stand in for a revision that is not rendered."""
        self._cut()
        self._step.is_live = True

    def step_done(self, *, heads: set[str], **_: object) -> None:
        """Note that a revision has been rendered, the statement that moves the version row included."""
        after = next(iter(heads), None)
        # One statement beside the block is Alembic's own: it moves the version row.
        if self._step.alone and self._step.together > 1:
            raise LookupError(f"revision {after} does more than its autocommit block, and could not be repeated")
        if self._step.is_live:
            self._pending.clear()
            self.places.pop()
            self.segments.append(Segment((), autocommit=False, start=self._at, end=after, is_live=True))
            self._start = after
        self._at = after

    def finish(self) -> list[Segment]:
        """Return all segments."""
        self._cut()
        return self.segments

    def _add(self, statement: str) -> None:
        if reason := refusal_of(statement, autocommit=self._alone):
            raise LookupError(reason)
        if self._alone:
            self._step.alone += 1
        elif not statement.startswith(f"CREATE TABLE {VERSION_TABLE}"):
            self._step.together += 1
        self._pending.append(statement)
        self.places.append(place_of(inspect.currentframe(), self._folder))

    def _cut(self) -> None:
        if self._pending:
            self.segments.append(Segment(tuple(self._pending), self._alone, self._start, self._at))
        self._pending = []
        self._start = self._at


def place_of(where: TracebackType | FrameType | None, folder: Path) -> str:
    """Return the file and line of a revision that a traceback or a frame leads through."""
    frames = traceback.walk_tb(where) if isinstance(where, TracebackType) else traceback.walk_stack(where)
    places = [
        f"{Path(frame.f_code.co_filename).name}, line {line}"
        for frame, line in frames
        if Path(frame.f_code.co_filename).parent == folder
    ]
    return places[-1] if places else "outside any revision"
