"""Renders a migration path to SQL, once, so that it can be replayed in every schema without Alembic."""

import io
import re
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, cast

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from leasehold.tenancy.fleet.history import TenantHistory

# Alembic's `op` is a global of the process: two renderings at once would write into each other.
_ALEMBIC = threading.Lock()
_ALEMBICS_REMARK = re.compile(r"-- Running (?:upgrade|downgrade) [^\n]*")
_COMMENTS = re.compile(r"--[^\n]*(?:\n|$)|/\*.*?\*/\s*", re.DOTALL)
_BY_HAND = re.compile(
    r"\s*(?:BEGIN|COMMIT|END|ROLLBACK|ABORT|START\s+TRANSACTION|PREPARE\s+TRANSACTION"
    r"|(?:RESET|SET)\s+(?:(?:SESSION|LOCAL)\s+)?(?:ROLE|SESSION\s+AUTHORIZATION|search_path|ALL)|DISCARD)\b",
    re.IGNORECASE,
)
_CONCURRENTLY = re.compile(r"^((?:CREATE\s+(?:UNIQUE\s+)?|DROP\s+|RE)INDEX)\s+CONCURRENTLY\b", re.IGNORECASE)


class Unrenderable(RuntimeError):
    """The migration from {start} to {target} cannot be replayed in every schema: {reason}"""

    def __init__(self, start: str | None, target: str, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(start=start or "base", target=target, reason=reason))


class _NoDatabase:
    """Stands where a revision would find a connection: rendering has none, and a made-up answer would be wrong."""

    def __getattr__(self, name: str) -> NoReturn:
        raise LookupError(f"it asks the database (`get_bind().{name}`), but it is rendered once for all schemas")


@dataclass(frozen=True, slots=True)
class Segment:
    """Statements that run together: in one transaction, or each on its own where PostgreSQL demands that."""

    statements: tuple[str, ...]
    autocommit: bool

    @property
    def script(self) -> str:
        """All statements as one text; the semicolons stand on lines of their own, where no comment swallows them."""
        return "\n;\n".join(self.statements)


class _Recorder(io.StringIO):
    """Receives what Alembic writes in offline mode, one statement a call, and cuts it into segments."""

    def __init__(self) -> None:
        super().__init__()
        self.segments: list[Segment] = []
        self._pending: list[str] = []

    def write(self, text: str, /) -> int:
        statement = text.strip().removesuffix(";").rstrip()
        if statement and not _ALEMBICS_REMARK.fullmatch(statement):
            if _BY_HAND.match(_COMMENTS.sub("", statement)):
                raise LookupError(
                    f"it ends or leaves the transaction of the schema by hand, in `{_excerpt(statement)}`"
                )
            self._pending.append(statement)
        return len(text)

    def cut(self, *, autocommit: bool) -> None:
        """End a segment: what was written since the last cut runs together."""
        if self._pending:
            self.segments.append(Segment(tuple(self._pending), autocommit))
        self._pending = []


@dataclass(frozen=True, slots=True)
class Rendering:
    """The SQL that brings a schema from one revision (None: empty) to another. It names no schema."""

    start: str | None
    target: str
    segments: tuple[Segment, ...]

    @property
    def statement_count(self) -> int:
        """How many statements one schema takes."""
        return sum(len(segment.statements) for segment in self.segments)


def render(history: TenantHistory, start: str | None, target: str) -> Rendering:
    """Return the rendering of an upgrade or downgrade.

    Raises:
        Unrenderable: it holds a value that Python makes anew each time, or a revision asks the database.
    """
    with _ALEMBIC:
        first, second = _record(history, start, target), _record(history, start, target)
    for once, again in zip(_statements(first), _statements(second), strict=True):
        if once != again:
            raise Unrenderable(start, target, f"two renderings differ, at `{_excerpt(once)}` and `{_excerpt(again)}`")
    return Rendering(start, target, tuple(first))


def render_provisioning(history: TenantHistory) -> Rendering:
    """Return the rendering for a new schema: base to head in one transaction, for nobody can hold a lock there."""
    rendering = render(history, None, history.head)
    statements = [
        _CONCURRENTLY.sub(r"\1", statement) for segment in rendering.segments for statement in segment.statements
    ]
    return Rendering(None, history.head, (Segment(tuple(statements), autocommit=False),))


def _record(history: TenantHistory, start: str | None, target: str) -> list[Segment]:
    script = history.script
    is_downgrade = (
        start is not None and target in history.revisions and not history.path(start, target) and start != target
    )

    def steps(heads: Any, _context: MigrationContext) -> Any:
        if target == "base" or is_downgrade:
            return script._downgrade_revs(target, heads)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return script._upgrade_revs(target, heads)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    recorder = _Recorder()
    context = MigrationContext.configure(
        dialect=PGDialect_asyncpg(),
        opts={
            "as_sql": True,
            "literal_binds": True,
            "output_buffer": recorder,
            "fn": steps,
            "script": script,
            "starting_rev": start,
        },
    )
    impl = cast("Any", context.impl)
    impl.connection = _NoDatabase()
    # Alembic opens an autocommit block by a COMMIT and closes it by a BEGIN; as text they would look like anybody's.
    impl.emit_commit = partial(recorder.cut, autocommit=False)
    impl.emit_begin = partial(recorder.cut, autocommit=True)
    try:
        with Operations.context(context):
            context.run_migrations()
    except LookupError as error:
        raise Unrenderable(start, target, str(error)) from error
    recorder.cut(autocommit=False)
    return recorder.segments


def _statements(segments: list[Segment]) -> list[str]:
    return [statement for segment in segments for statement in segment.statements]


def _excerpt(statement: str) -> str:
    return " ".join(statement.split())[:120]
