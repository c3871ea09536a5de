"""What a replay sends, in which order; that PostgreSQL does as it is told is shown with a database."""

from typing import Any, cast

import pytest
from sqlalchemy import Column, MetaData, Table, Text

from leasehold.core.database import DriverConnection
from leasehold.tenancy.fleet.limits import Limits
from leasehold.tenancy.fleet.replay import Closing, NoLiveRevisions, Replay, SchemaTarget, build_sql
from leasehold.tenancy.fleet.segments import Rendering, Segment

_TARGET = SchemaTarget("t_1", "lh_t_1")
_FENCE = "SELECT platform.demand_lease('7')"
_LIMITS = Limits(lock_timeout_s=5, statement_timeout_s=600, index_timeout_s=900)


class Wire:
    """Stands for a connection, and keeps what is sent."""

    def __init__(self, *, fails_at: str = "fails") -> None:
        self.sent: list[str] = []
        self.is_terminated = False
        self._fails_at = fails_at

    async def execute(self, statement: str) -> None:
        self.sent.append(statement)
        if self._fails_at in statement:
            raise OSError("the wire broke")

    async def fetch(self, statement: str, *_: str) -> list[dict[str, Any]]:
        if "_cc(new|old)" in statement:  # left over by a rebuild that was killed
            return []
        return [{"table_name": "notes", "privileges": ["SELECT", "DELETE"]}, {"table_name": None, "privileges": []}]

    def is_closed(self) -> bool:
        return self.is_terminated

    def terminate(self) -> None:
        self.is_terminated = True


def _metadata() -> MetaData:
    metadata = MetaData()
    Table("notes", metadata, Column("id", Text), info={"rights": "append_only"})
    return metadata


async def _refuse(*_: object) -> None:
    raise AssertionError("nothing here is live")


async def _apply(wire: Wire, segment: Segment, run_live: Any = _refuse, *, times: int = 1) -> None:
    replay = Replay(_metadata(), _LIMITS, _FENCE, run_live, {"0002": frozenset({"notes", "tags"})})
    for number in range(1, times + 1):
        target = SchemaTarget(f"t_{number}", f"lh_t_{number}")
        await replay.apply(cast("DriverConnection", wire), target, segment, lambda: "SELECT 'closing'")


def _together(*statements: str, start: str | None = "0001") -> Segment:
    return Segment(statements, autocommit=False, start=start, end="0002")


def _alone(*statements: str) -> Segment:
    return Segment(statements, autocommit=True, start="0001", end="0001")


def _statements(message: str) -> list[str]:
    outside_comments = "\n".join(line.partition("--")[0] for line in message.splitlines())
    return [statement.strip() for statement in outside_comments.strip("; \n").split(";")]


async def test_a_segment_is_bound_and_the_version_locked_before_anything_changes() -> None:
    wire = Wire()
    await _apply(wire, _together("ALTER TABLE notes ADD COLUMN a TEXT", "UPDATE alembic_version"))
    assert _statements(wire.sent[0]) == [
        "BEGIN",
        'SET LOCAL search_path = "t_1", pg_temp',
        "SET LOCAL lock_timeout = 5000",
        "SET LOCAL statement_timeout = 600000",
        "SET LOCAL idle_in_transaction_session_timeout = 300000",
        "SELECT platform.demand_revision((SELECT version_num FROM alembic_version FOR UPDATE), '0001')",
        "ALTER TABLE notes ADD COLUMN a TEXT",
        "UPDATE alembic_version",
    ]


async def test_rights_closing_and_fence_come_in_one_message_with_the_commit() -> None:
    wire = Wire()
    await _apply(wire, _together("ALTER TABLE notes ADD COLUMN a TEXT"))
    assert len(wire.sent) == 2
    assert _statements(wire.sent[1]) == [
        'GRANT USAGE ON SCHEMA "t_1" TO "lh_t_1"',
        'REVOKE DELETE ON "t_1"."notes" FROM "lh_t_1"',
        'GRANT INSERT ON "t_1"."notes" TO "lh_t_1"',
        "SELECT 'closing'",
        _FENCE,
        "COMMIT",
    ]


async def test_behind_the_first_schema_a_transaction_is_one_message() -> None:
    wire = Wire()
    await _apply(wire, _together("ALTER TABLE notes ADD COLUMN a TEXT"), times=2)
    assert len(wire.sent) == 3
    # Rights are those that the first one lacked, on the tables that every schema has at that revision.
    assert _statements(wire.sent[2]) == [
        "BEGIN",
        'SET LOCAL search_path = "t_2", pg_temp',
        "SET LOCAL lock_timeout = 5000",
        "SET LOCAL statement_timeout = 600000",
        "SET LOCAL idle_in_transaction_session_timeout = 300000",
        "SELECT platform.demand_revision((SELECT version_num FROM alembic_version FOR UPDATE), '0001')",
        "ALTER TABLE notes ADD COLUMN a TEXT",
        'GRANT USAGE ON SCHEMA "t_2" TO "lh_t_2"',
        'REVOKE DELETE ON "t_2"."notes" FROM "lh_t_2"',
        'GRANT INSERT ON "t_2"."notes" TO "lh_t_2"',
        'GRANT DELETE, INSERT, SELECT, UPDATE ON "t_2"."tags" TO "lh_t_2"',
        "SELECT 'closing'",
        _FENCE,
        "COMMIT",
    ]


@pytest.mark.parametrize("fails_at", ["ALTER", "closing"])
async def test_a_segment_that_fails_is_rolled_back(fails_at: str) -> None:
    wire = Wire(fails_at=fails_at)
    with pytest.raises(OSError, match="the wire broke"):
        await _apply(wire, _together("ALTER TABLE notes ADD COLUMN a TEXT"))
    assert wire.sent[-1] == "ROLLBACK"


async def test_an_empty_schema_has_no_version_to_lock() -> None:
    wire = Wire()
    await _apply(wire, _together("CREATE TABLE notes ()", start=None))
    assert "FOR UPDATE" not in " ".join(wire.sent)


async def test_what_must_run_alone_runs_on_the_path_and_limits_of_its_own_outside_any_transaction() -> None:
    wire = Wire()
    await _apply(wire, _alone("REINDEX INDEX a", "VACUUM b"))
    opening = [
        'SET search_path = "t_1", pg_temp',
        "SET lock_timeout = 0",
        "SET statement_timeout = 900000",
        "SELECT platform.demand_revision((SELECT version_num FROM alembic_version FOR UPDATE), '0001')",
        _FENCE,
    ]
    assert [_statements(sent) for sent in wire.sent] == [
        opening,
        ["REINDEX INDEX a"],
        opening,
        ["VACUUM b"],
        ["RESET search_path", "RESET lock_timeout", "RESET statement_timeout"],
    ]


async def test_path_and_limits_are_taken_back_when_what_ran_alone_has_failed() -> None:
    wire = Wire()
    with pytest.raises(OSError, match="the wire broke"):
        await _apply(wire, _alone("REINDEX fails"))
    assert wire.sent[-1].startswith("RESET search_path")


async def test_a_statement_that_ends_in_a_comment_does_not_swallow_the_next() -> None:
    wire = Wire()
    await _apply(wire, _together("UPDATE notes SET a = '' -- unknown", "UPDATE alembic_version"))
    assert _statements(wire.sent[0])[-2:] == ["UPDATE notes SET a = ''", "UPDATE alembic_version"]


async def test_a_live_revision_is_run_by_who_can_and_behind_the_same_fence() -> None:
    segment = Segment((), autocommit=False, start="0001", end="0002", is_live=True)
    run: list[tuple[SchemaTarget, Segment, Limits, str]] = []

    async def run_live(target: SchemaTarget, live: Segment, limits: Limits, closing: Closing) -> None:
        run.append((target, live, limits, closing()))

    await _apply(Wire(), segment, run_live)
    assert run == [(_TARGET, segment, _LIMITS, f"SELECT 'closing'; {_FENCE}")]


@pytest.mark.parametrize(
    "segment", [_alone("REINDEX INDEX a"), Segment((), autocommit=False, start=None, end="0001", is_live=True)]
)
def test_an_empty_schema_is_filled_by_what_fits_into_one_transaction_alone(segment: Segment) -> None:
    with pytest.raises(NoLiveRevisions):
        build_sql(_TARGET, Rendering(None, "0001", (segment,)))


def test_an_empty_schema_is_filled_in_the_transaction_of_who_made_it() -> None:
    rendering = Rendering(None, "0001", (_together("CREATE TABLE notes ()", start=None),))
    assert _statements(build_sql(_TARGET, rendering)) == [
        'SET LOCAL search_path = "t_1", pg_temp',
        "CREATE TABLE notes ()",
    ]
