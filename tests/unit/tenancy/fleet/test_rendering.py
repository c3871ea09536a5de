"""Renderings of the tenant history, to be replayed in every schema."""

from pathlib import Path

import pytest

from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.rendering import Unrenderable, render, render_provisioning
from leasehold.tenancy.fleet.segments import Rendering, Segment
from tests.unit.tenancy.fleet.scratch import Step, history_of

_VERSIONS = "CREATE TABLE alembic_version"
_TABLE = 'op.create_table("notes", sa.Column("id", sa.UUID(), primary_key=True))'
_INDEX = """
with op.get_context().autocommit_block():
    op.create_index("ix_notes_title", "notes", ["title"], postgresql_concurrently=True)
"""
_FIRST = Step("0001", upgrade=_TABLE, downgrade='op.drop_table("notes")')
_SECOND = Step(
    "0002",
    "0001",
    upgrade='op.add_column("notes", sa.Column("title", sa.Text()))',
    downgrade='op.drop_column("notes", "title")',
)
_THIRD = Step("0003", "0002", upgrade=_INDEX, downgrade='op.drop_index("ix_notes_title")')


def _version(before: str, after: str) -> str:
    return f"UPDATE alembic_version SET version_num='{after}' WHERE alembic_version.version_num = '{before}'"


def _upgrade(folder: Path, lines: str, *, extra: str = "") -> list[str]:
    """Return what one revision renders to, between the steps that Alembic takes of itself."""
    history = history_of(folder, Step("0001"), Step("0002", "0001", upgrade=lines, extra=extra))
    rendering = render(history, "0001", "0002")
    statements = [statement for segment in rendering.segments for statement in segment.statements]
    assert statements[-1] == _version("0001", "0002")
    return statements[:-1]


def test_a_path_from_nothing_makes_the_version_table_first(tmp_path: Path) -> None:
    rendering = render(history_of(tmp_path, _FIRST, _SECOND), None, "0002")
    (segment,) = rendering.segments
    assert not segment.autocommit
    assert segment.statements[0].startswith(_VERSIONS)
    assert segment.statements[1].startswith("CREATE TABLE notes")
    assert segment.statements[2].startswith("INSERT INTO alembic_version (version_num) VALUES ('0001')")
    assert segment.statements[3:] == ("ALTER TABLE notes ADD COLUMN title TEXT", _version("0001", "0002"))
    assert (rendering.start, rendering.target, len(rendering.statements)) == (None, "0002", 5)


def test_a_path_holds_only_what_is_missing(tmp_path: Path) -> None:
    rendering = render(history_of(tmp_path, _FIRST, _SECOND), "0001", "0002")
    assert rendering.segments == (
        Segment(("ALTER TABLE notes ADD COLUMN title TEXT", _version("0001", "0002")), False, "0001", "0002"),
    )


def test_a_path_to_where_a_schema_stands_is_empty(tmp_path: Path) -> None:
    assert render(history_of(tmp_path, _FIRST, _SECOND), "0002", "0002") == Rendering("0002", "0002", ())


def test_a_path_may_lead_back(tmp_path: Path) -> None:
    rendering = render(history_of(tmp_path, _FIRST, _SECOND), "0002", "0001")
    assert rendering.segments == (
        Segment(("ALTER TABLE notes DROP COLUMN title", _version("0002", "0001")), False, "0002", "0001"),
    )


def test_a_path_may_lead_back_to_nothing(tmp_path: Path) -> None:
    (segment,) = render(history_of(tmp_path, _FIRST, _SECOND), "0002", "base").segments
    assert segment.statements == (
        "ALTER TABLE notes DROP COLUMN title",
        _version("0002", "0001"),
        "DROP TABLE notes",
        "DELETE FROM alembic_version WHERE alembic_version.version_num = '0001'",
    )


def test_what_must_run_alone_is_a_segment_of_its_own(tmp_path: Path) -> None:
    rendering = render(history_of(tmp_path, _FIRST, _SECOND, _THIRD), "0001", "0003")
    assert rendering.segments == (
        Segment(("ALTER TABLE notes ADD COLUMN title TEXT", _version("0001", "0002")), False, "0001", "0002"),
        Segment(("CREATE INDEX CONCURRENTLY ix_notes_title ON notes (title)",), True, "0002", "0002"),
        Segment((_version("0002", "0003"),), False, "0002", "0003"),
    )


def test_no_segment_begins_or_ends_a_transaction_itself(tmp_path: Path) -> None:
    rendering = render(history_of(tmp_path, _FIRST, _SECOND, _THIRD), None, "0003")
    statements = {statement.upper() for segment in rendering.segments for statement in segment.statements}
    assert {"BEGIN", "COMMIT"} & statements == set()


def test_nothing_names_a_schema(tmp_path: Path) -> None:
    rendering = render(history_of(tmp_path, _FIRST, _SECOND, _THIRD), None, "0003")
    statements = " ".join(statement for segment in rendering.segments for statement in segment.statements)
    assert "search_path" not in statements
    assert "tenant" not in statements


def test_a_new_schema_is_made_in_one_transaction(tmp_path: Path) -> None:
    rendering = render_provisioning(history_of(tmp_path, _FIRST, _SECOND, _THIRD))
    (segment,) = rendering.segments
    assert not segment.autocommit
    assert "CREATE INDEX ix_notes_title ON notes (title)" in segment.statements
    assert segment.statements[-1] == _version("0002", "0003")
    assert (rendering.start, rendering.target) == (None, "0003")


@pytest.mark.parametrize(
    ("concurrent", "plain"),
    [
        ("CREATE INDEX CONCURRENTLY ix ON notes (id)", "CREATE INDEX ix ON notes (id)"),
        ("CREATE UNIQUE INDEX CONCURRENTLY ix ON notes (id)", "CREATE UNIQUE INDEX ix ON notes (id)"),
        ("create  index\n concurrently if not exists ix on notes (id)", "create  index if not exists ix on notes (id)"),
        ("DROP INDEX CONCURRENTLY IF EXISTS ix", "DROP INDEX IF EXISTS ix"),
    ],
)
def test_nothing_runs_concurrently_in_a_new_schema(tmp_path: Path, concurrent: str, plain: str) -> None:
    block = f"with op.get_context().autocommit_block():\n    op.execute({concurrent!r})"
    (segment,) = render_provisioning(history_of(tmp_path, Step("0001", upgrade=block))).segments
    assert segment.statements[1] == plain


def test_the_word_concurrently_in_a_text_stays(tmp_path: Path) -> None:
    lines = "op.execute(\"COMMENT ON TABLE notes IS 'CREATE INDEX CONCURRENTLY'\")"
    (segment,) = render_provisioning(history_of(tmp_path, Step("0001", upgrade=lines))).segments
    assert segment.statements[1] == "COMMENT ON TABLE notes IS 'CREATE INDEX CONCURRENTLY'"


@pytest.mark.parametrize(
    "lines",
    [
        "import uuid\nop.execute(f\"UPDATE notes SET id = '{uuid.uuid4()}'\")",
        "import datetime\nop.execute(f\"UPDATE notes SET title = '{datetime.datetime.now()}'\")",
        'import secrets\nop.add_column("notes", sa.Column("key", sa.Text(), server_default=secrets.token_hex()))',
    ],
    ids=["uuid4", "now", "token"],
)
def test_a_value_that_python_makes_anew_each_time_is_refused(tmp_path: Path, lines: str) -> None:
    with pytest.raises(Unrenderable, match=r"from 0001 to 0002 cannot .* two renderings differ, at `"):
        _upgrade(tmp_path, lines)


@pytest.mark.parametrize("turn", ["not", ""])
def test_a_revision_with_another_number_of_statements_each_time_is_refused(tmp_path: Path, turn: str) -> None:
    lines = f'if {turn} next(turns) % 2:\n    op.execute("UPDATE notes SET total = 1")'
    with pytest.raises(Unrenderable, match="two renderings differ"):
        _upgrade(tmp_path, lines, extra="import itertools\nturns = itertools.count()")


@pytest.mark.parametrize(
    "lines",
    [
        'op.get_bind().execute(sa.text("SELECT 1"))',
        'op.get_bind().scalar(sa.text("SELECT 1"))',
        'if op.get_bind().dialect.has_table(op.get_bind(), "notes"): pass',
        "sa.inspect(op.get_bind()).get_table_names()",
        'from sqlalchemy.orm import Session\nSession(bind=op.get_bind()).execute(sa.text("SELECT 1"))',
    ],
    ids=["execute", "scalar", "dialect", "inspect", "session"],
)
def test_a_revision_that_asks_the_database_is_refused(tmp_path: Path, lines: str) -> None:
    with pytest.raises(Unrenderable, match="from 0001 to 0002 cannot be replayed in every schema"):
        _upgrade(tmp_path, lines)


def test_a_rendering_can_be_made_after_one_was_refused(tmp_path: Path) -> None:
    with pytest.raises(Unrenderable):
        _upgrade(tmp_path / "refused", 'op.get_bind().execute(sa.text("SELECT 1"))')
    assert _upgrade(tmp_path / "fine", 'op.execute("UPDATE notes SET title = 1")') == ["UPDATE notes SET title = 1"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE notes SET title = '100%' WHERE title LIKE '%s %(x)s %%'",
        "UPDATE notes SET title = 'it''s; fine' WHERE title = 'a -- b'",
        "DO $$ BEGIN PERFORM 1; END $$",
        "UPDATE notes\n   SET title = ''",
        "UPDATE notes SET title = 'naïve 🦊'",
        "-- so that no title is empty\nUPDATE notes SET title = '?' WHERE title = ''",
        "-- Running totals begin at 0\nUPDATE notes SET total = 0",
        "/* so that no title is empty */ UPDATE notes SET title = '?' WHERE title = ''",
    ],
)
def test_a_statement_survives_as_it_was_written(tmp_path: Path, statement: str) -> None:
    assert _upgrade(tmp_path, f"op.execute({statement!r})") == [statement]


@pytest.mark.parametrize(
    "command", ["COMMIT", "commit", "BEGIN", "ROLLBACK", "END", "START TRANSACTION", "-- why\nCOMMIT"]
)
def test_a_revision_that_ends_the_transaction_by_hand_is_refused(tmp_path: Path, command: str) -> None:
    # The path would end with it, and the rest of the revision would find or make its tables elsewhere.
    with pytest.raises(Unrenderable):
        _upgrade(tmp_path, f'op.execute({command!r})\nop.execute("UPDATE notes SET total = 0")')


def test_the_values_of_a_statement_are_written_into_it(tmp_path: Path) -> None:
    lines = """
    notes = sa.table("notes", sa.column("title", sa.Text()))
    op.execute(notes.update().where(notes.c.title == "a%").values(title="it's"))
    """
    assert _upgrade(tmp_path, lines) == ["UPDATE notes SET title='it''s' WHERE notes.title = 'a%'"]


def test_rows_that_are_inserted_are_written_into_the_statement(tmp_path: Path) -> None:
    lines = 'op.bulk_insert(sa.table("notes", sa.column("title", sa.Text())), [{"title": "it\'s 5%"}])'
    assert _upgrade(tmp_path, lines) == ["INSERT INTO notes (title) VALUES ('it''s 5%')"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('x = 1\nop.execute("SELECT count(*) FROM notes")', r"it asks the database, in `SELECT .*\(0002.py, line 10\)"),
        ('op.execute("-- why\\nVALUES (1)")', r"it asks the database.*\(0002.py, line 9\)"),
        ('op.get_bind().scalar(sa.text("SELECT 1"))', r"get_bind\(\).scalar`.*\(0002.py, line 9\)"),
        ('op.create_table("a", sa.Column("id", sa.Uuid()), schema="crm")', r"the schema `crm`.*\(0002.py, line 9\)"),
        ('op.drop_column("notes", "title", schema="public")', r"the schema `public`.*\(0002.py, line 9\)"),
        ('op.execute("DELETE FROM platform.tenants")', r"the schema `platform`.*\(0002.py, line 9\)"),
        (
            "op.execute('UPDATE \"t_01890a5dac96774bbcceb302099a8057\".notes SET a = 1')",
            r"the schema `t_01890a5dac96774bbcceb302099a8057`.*\(0002.py, line 9\)",
        ),
        ('import random\nop.execute(f"UPDATE notes SET a = {random.random()}")', r"differ, at .*\(0002.py, line 10\)"),
        ("1 / 0", r"division by zero \(0002.py, line 9\)"),
    ],
    ids=["select", "values", "bind", "new table", "old table", "platform", "tenant", "frozen", "broken"],
)
def test_a_refusal_names_file_and_line(tmp_path: Path, lines: str, reason: str) -> None:
    with pytest.raises(Unrenderable, match=reason):
        _upgrade(tmp_path, lines)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE notes SET title = 'see platform.tenants'",
        "UPDATE notes SET title = $x$ public.notes $x$",
        "UPDATE notes SET total = notes.total + 1",
        "CREATE VIEW v AS SELECT x.oid FROM pg_catalog.pg_class AS x",
    ],
)
def test_what_only_looks_like_a_schema_is_no_schema(tmp_path: Path, statement: str) -> None:
    assert _upgrade(tmp_path, f"op.execute({statement!r})") == [statement]


def test_outside_a_transaction_only_what_can_be_repeated_is_allowed(tmp_path: Path) -> None:
    lines = 'with op.get_context().autocommit_block():\n    op.execute("UPDATE notes SET total = total + 1")'
    with pytest.raises(Unrenderable, match=r"not safe to repeat.*\(0002.py, line 10\)"):
        _upgrade(tmp_path, lines)


def test_a_revision_with_an_autocommit_block_does_nothing_else(tmp_path: Path) -> None:
    lines = 'op.execute("UPDATE notes SET total = 1")' + _INDEX
    with pytest.raises(Unrenderable, match="revision 0002 does more than its autocommit block"):
        _upgrade(tmp_path, lines)


def test_a_live_revision_is_a_segment_of_its_own_and_is_not_called(tmp_path: Path) -> None:
    live = Step("0003", "0002", upgrade='raise RuntimeError("called")', extra='live = True\non_empty = "skip"')
    fourth = Step("0004", "0003", upgrade='op.execute("UPDATE notes SET title = 1")')
    rendering = render(history_of(tmp_path, _FIRST, _SECOND, live, fourth), "0001", "0004")
    assert rendering.segments == (
        Segment(("ALTER TABLE notes ADD COLUMN title TEXT", _version("0001", "0002")), False, "0001", "0002"),
        Segment((), False, "0002", "0003", is_live=True),
        Segment(("UPDATE notes SET title = 1", _version("0003", "0004")), False, "0003", "0004"),
    )


def test_in_a_new_schema_a_live_revision_does_what_it_says_for_an_empty_one(tmp_path: Path) -> None:
    skipped = Step("0003", "0002", upgrade="1 / 0", extra='live = True\non_empty = "skip"')
    replaced = Step("0004", "0003", upgrade="1 / 0", extra='live = True\non_empty = "CREATE TABLE seen ()"')
    (segment,) = render_provisioning(history_of(tmp_path, _FIRST, _SECOND, skipped, replaced)).segments
    assert segment.statements[-3:] == (
        "UPDATE alembic_version SET version_num = '0003' WHERE version_num = '0002'",
        "CREATE TABLE seen ()",
        "UPDATE alembic_version SET version_num = '0004' WHERE version_num = '0003'",
    )


def test_a_live_revision_must_say_what_it_does_in_an_empty_schema(tmp_path: Path) -> None:
    history = history_of(tmp_path, _FIRST, Step("0002", "0001", upgrade="1 / 0", extra="live = True"))
    with pytest.raises(Unrenderable, match="the live revision 0002 must say what it does in an empty schema"):
        render_provisioning(history)


def test_the_history_of_the_product_can_be_rendered(project: Path) -> None:
    history = TenantHistory.load(project / "migrations")
    assert len(render_provisioning(history).statements) > 4
    assert render(history, history.head, history.revisions[0]).target == history.revisions[0]
