"""What a replay sends, in which order; that PostgreSQL does as it is told is shown with a database."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from sqlalchemy import Column, MetaData, Table, Text

from leasehold.core.database import DriverConnection
from leasehold.tenancy.fleet.replay import NoLiveRevisions, RevisionMoved, SchemaTarget, replay
from leasehold.tenancy.fleet.segments import Rendering, Segment

_TARGET = SchemaTarget("t_1", "lh_t_1")


class Wire:
    """Stands for a connection to a schema at one revision, and keeps what is sent."""

    def __init__(self, revision: str) -> None:
        self.sent: list[str] = []
        self._revision = revision

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        self.sent.append("BEGIN")
        try:
            yield
        except BaseException:
            self.sent.append("ROLLBACK")
            raise
        self.sent.append("COMMIT")

    async def execute(self, statement: str) -> None:
        self.sent.append(statement)
        if "fails" in statement:
            raise OSError("the wire broke")

    async def fetchval(self, statement: str) -> str:
        self.sent.append(statement)
        return self._revision

    async def fetch(self, _statement: str, _schema: str) -> list[dict[str, str]]:
        return [{"relname": "notes"}]

    def is_closed(self) -> bool:
        return False


def _metadata() -> MetaData:
    metadata = MetaData()
    Table("notes", metadata, Column("id", Text), info={"rights": "append_only"})
    return metadata


async def _replay(wire: Wire, segment: Segment, **options: Any) -> None:
    rendering = Rendering("0001", "0002", (segment,))
    await replay(cast("DriverConnection", wire), _TARGET, rendering, _metadata(), **options)


def _together(*statements: str, start: str | None = "0001") -> Segment:
    return Segment(statements, autocommit=False, start=start, end="0002")


def _alone(*statements: str) -> Segment:
    return Segment(statements, autocommit=True, start="0001", end="0001")


async def test_a_segment_is_bound_and_the_version_locked_before_anything_changes() -> None:
    wire = Wire("0001")
    await _replay(wire, _together("ALTER TABLE notes ADD COLUMN a TEXT", "UPDATE alembic_version"))
    assert wire.sent == [
        "BEGIN",
        wire.sent[1],
        "SELECT version_num FROM alembic_version FOR UPDATE",
        wire.sent[3],
        wire.sent[4],
        "COMMIT",
    ]
    assert wire.sent[1].split("; ") == [
        'SET LOCAL search_path = "t_1", pg_temp',
        "SET LOCAL lock_timeout = '5s'",
        "SET LOCAL statement_timeout = '10min'",
    ]
    assert [statement.strip() for statement in wire.sent[3].strip("; \n").split(";")] == [
        "ALTER TABLE notes ADD COLUMN a TEXT",
        "UPDATE alembic_version",
    ]
    assert 'GRANT SELECT, INSERT ON "t_1"."notes" TO "lh_t_1"' in wire.sent[4]


async def test_a_schema_that_somebody_else_migrated_is_left_alone() -> None:
    wire = Wire("0002")
    with pytest.raises(RevisionMoved, match="stands at revision 0002, not at 0001"):
        await _replay(wire, _together("ALTER TABLE notes ADD COLUMN a TEXT"))
    assert wire.sent[-1] == "ROLLBACK"
    assert "ALTER" not in " ".join(wire.sent)


async def test_an_empty_schema_has_no_version_to_lock() -> None:
    wire = Wire("0001")
    await _replay(wire, _together("CREATE TABLE notes ()", start=None))
    assert "FOR UPDATE" not in " ".join(wire.sent)


async def test_each_transaction_records_the_revision_that_it_reached() -> None:
    wire, recorded = Wire("0001"), list[str]()

    async def record(_connection: DriverConnection, revision: str) -> None:
        recorded.append(f"{revision} behind {wire.sent[-1]}")

    await _replay(wire, _together("UPDATE notes SET a = 1"), record=record)
    assert [line.partition(" behind ")[0] for line in recorded] == ["0002"]
    assert "GRANT USAGE" in recorded[0]
    assert wire.sent[-1] == "COMMIT"


async def test_what_must_run_alone_runs_on_the_path_of_its_schema_outside_any_transaction() -> None:
    wire = Wire("0001")
    await _replay(wire, _alone("REINDEX INDEX a", "VACUUM b"))
    path = 'SET search_path = "t_1", pg_temp'
    assert [
        sent for sent in wire.sent if sent.startswith(("REINDEX", "VACUUM", "SET search_path", "RESET", "BEGIN"))
    ] == [
        path,
        "REINDEX INDEX a",
        "VACUUM b",
        "RESET search_path",
    ]


async def test_the_path_is_taken_back_when_what_ran_alone_has_failed() -> None:
    wire = Wire("0001")
    with pytest.raises(OSError, match="the wire broke"):
        await _replay(wire, _alone("REINDEX fails"))
    assert wire.sent[-1] == "RESET search_path"


async def test_a_statement_that_ends_in_a_comment_does_not_swallow_the_next() -> None:
    wire = Wire("0001")
    await _replay(wire, _together("UPDATE notes SET a = '' -- unknown", "UPDATE alembic_version"))
    (sent,) = [sent for sent in wire.sent if "unknown" in sent]
    outside_comments = "\n".join(line.partition("--")[0] for line in sent.splitlines())
    assert [statement.strip() for statement in outside_comments.strip("; \n").split(";")] == [
        "UPDATE notes SET a = ''",
        "UPDATE alembic_version",
    ]


async def test_a_live_revision_is_run_by_who_can() -> None:
    segment = Segment((), autocommit=False, start="0001", end="0002", is_live=True)
    with pytest.raises(NoLiveRevisions, match="Revision 0002 is live"):
        await _replay(Wire("0001"), segment)
    run: list[tuple[SchemaTarget, Segment]] = []

    async def run_live(target: SchemaTarget, live: Segment, _record: object) -> None:
        run.append((target, live))

    await _replay(Wire("0001"), segment, run_live=run_live)
    assert run == [(_TARGET, segment)]
