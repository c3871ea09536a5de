"""Renders a migration path to SQL, once, so that it can be replayed in every schema without Alembic."""

import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, RevisionStep

from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.recording import NoDatabase, Recorder, SchemalessDialect, place_of
from leasehold.tenancy.fleet.refusals import excerpt
from leasehold.tenancy.fleet.segments import Rendering, Segment
from leasehold.tenancy.names import VERSION_TABLE

# Alembic's `op` is a global of the process: two renderings at once would write into each other.
_ALEMBIC = threading.Lock()
_CONCURRENTLY = re.compile(
    r"^((?:CREATE\s+(?:UNIQUE\s+)?|DROP\s+)INDEX|REINDEX(?:\s*\([^)]*\))?(?:\s+(?:INDEX|TABLE))?)\s+CONCURRENTLY\b",
    re.IGNORECASE,
)
_VACUUM = re.compile(r"^VACUUM\b", re.IGNORECASE)


class Unrenderable(RuntimeError):
    """The migration from {start} to {target} cannot be replayed in every schema: {reason}"""

    def __init__(self, start: str | None, target: str, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(start=start or "base", target=target, reason=reason))


def render(history: TenantHistory, start: str | None, target: str) -> Rendering:
    """Return the rendering of an upgrade or downgrade.

    Raises:
        Unrenderable: a revision says what cannot be said in every schema; names its file and line.
    """
    with _ALEMBIC:
        first, second = _record(history, start, target), _record(history, start, target)
    for once, again, place in zip(_statements(first), _statements(second), first.places, strict=True):
        if once != again:
            reason = f"two renderings differ, at `{excerpt(once)}` and `{excerpt(again)}`"
            raise Unrenderable(start, target, f"{reason} ({place})")
    return Rendering(start, target, tuple(first.segments), tuple(first.places))


def render_provisioning(history: TenantHistory, target: str | None = None) -> Rendering:
    """Return the rendering for a new schema: base to `target` in one transaction, for nobody can hold a lock there.

    Without a target it is head.

    Raises:
        Unrenderable: as for any other, or a live revision does not say what it does on an empty schema.
    """
    target = target or history.head
    rendering = render(history, None, target)
    statements = [
        statement
        for segment in rendering.segments
        for statement in in_one_transaction(_on_empty(history, segment) if segment.is_live else segment.statements)
    ]
    return Rendering(None, target, (Segment(tuple(statements), False, None, target),))


def in_one_transaction(statements: Iterable[str]) -> list[str]:
    """Return statements as they can run together where nobody else can hold a lock: no index is made CONCURRENTLY.

    VACUUM, which cannot run in a transaction, finds nothing in tables that were made in it.
    """
    return [_CONCURRENTLY.sub(r"\1", statement) for statement in statements if not _VACUUM.match(statement)]


def _on_empty(history: TenantHistory, segment: Segment) -> tuple[str, ...]:
    """Return what stands for a live revision in a schema without rows, with the move of the version row."""
    declared = history.on_empty(segment.end)
    if declared is None:
        reason = f'the live revision {segment.end} must say what it does in an empty schema: on_empty = "skip" or SQL'
        raise Unrenderable(None, history.head, reason)
    move = f"UPDATE {VERSION_TABLE} SET version_num = '{segment.end}' WHERE version_num = '{segment.start}'"
    return (move,) if declared == "skip" else (declared, move)


def _record(history: TenantHistory, start: str | None, target: str) -> Recorder:
    recorder = Recorder(Path(history.script.versions), start, contractions=history.contractions())

    def steps(heads: Any, _context: MigrationContext) -> Iterable[RevisionStep]:
        planned = history.steps(start, target, heads)
        for step in planned:
            if history.is_live(step.revision.revision):
                step.migration_fn = recorder.run_live
        return planned

    context = MigrationContext.configure(
        dialect=SchemalessDialect(),
        opts={
            "as_sql": True,
            "literal_binds": True,
            "output_buffer": recorder,
            "fn": steps,
            "script": history.script,
            "starting_rev": start,
            "on_version_apply": (recorder.step_done,),
        },
    )
    impl = cast("Any", context.impl)
    impl.connection = NoDatabase()
    # Alembic opens an autocommit block by a COMMIT and closes it by a BEGIN; as text they would look like anybody's.
    impl.emit_commit = recorder.enter_autocommit
    impl.emit_begin = recorder.leave_autocommit
    try:
        with Operations.context(context):
            context.run_migrations()
    except Exception as error:
        place = place_of(error.__traceback__, Path(history.script.versions))
        raise Unrenderable(start, target, f"{error} ({place})") from error
    recorder.finish()
    return recorder


def _statements(recorder: Recorder) -> list[str]:
    return [statement for segment in recorder.segments for statement in segment.statements]
