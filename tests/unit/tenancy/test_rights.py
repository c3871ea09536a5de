"""What a role is granted on the tables of a schema."""

from sqlalchemy import Column, MetaData, Table, Text

from leasehold.tenancy.rights import rights_sql


def _metadata(**rights: str | None) -> MetaData:
    metadata = MetaData()
    for name, right in rights.items():
        Table(name, metadata, Column("id", Text), info={"rights": right} if right else {})
    return metadata


def _sql(metadata: MetaData, *, usage: bool = True, **held: str) -> list[str]:
    """Return what is said where the role holds some rights already, given as their initials."""
    names = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE", "T": "TRUNCATE"}
    rows = [{"table_name": table, "privileges": [names[one] for one in initials]} for table, initials in held.items()]
    rows.append({"table_name": None, "privileges": ["USAGE"] if usage else []})
    return rights_sql(metadata, rows, schema="t_1", role="lh_t_1")


def test_a_new_schema_can_be_used() -> None:
    assert _sql(_metadata(), usage=False) == ['GRANT USAGE ON SCHEMA "t_1" TO "lh_t_1"']


def test_each_table_is_granted_what_its_model_declares() -> None:
    metadata = _metadata(items="read_write", log="append_only", secrets="read_only", slots="read_update")
    assert set(_sql(metadata, items="", log="", secrets="", slots="")) == {
        'GRANT DELETE, INSERT, SELECT, UPDATE ON "t_1"."items" TO "lh_t_1"',
        'GRANT INSERT, SELECT ON "t_1"."log" TO "lh_t_1"',
        'GRANT SELECT ON "t_1"."secrets" TO "lh_t_1"',
        'GRANT SELECT, UPDATE ON "t_1"."slots" TO "lh_t_1"',
    }


def test_what_is_right_already_is_left_alone() -> None:
    assert _sql(_metadata(items=None, log="append_only"), items="SIUD", log="SI") == []


def test_only_what_is_missing_is_granted_and_only_what_is_too_much_is_revoked() -> None:
    assert _sql(_metadata(log="append_only"), log="SUT") == [
        'REVOKE TRUNCATE, UPDATE ON "t_1"."log" FROM "lh_t_1"',
        'GRANT INSERT ON "t_1"."log" TO "lh_t_1"',
    ]


def test_tables_that_lack_the_same_are_granted_it_together() -> None:
    assert _sql(_metadata(users=None, items=None), users="", items="") == [
        'GRANT DELETE, INSERT, SELECT, UPDATE ON "t_1"."items", "t_1"."users" TO "lh_t_1"'
    ]


def test_the_version_of_a_schema_is_only_read() -> None:
    assert _sql(_metadata(), alembic_version="SU") == ['REVOKE UPDATE ON "t_1"."alembic_version" FROM "lh_t_1"']


def test_a_model_whose_table_is_not_there_yet_is_granted_nothing() -> None:
    assert _sql(_metadata(items=None)) == []


def test_names_are_quoted() -> None:
    rows = [{"table_name": 'a"b', "privileges": []}]
    (grant,) = rights_sql(_metadata(), rows, schema='t"1', role='r"1')
    assert grant.endswith('ON "t""1"."a""b" TO "r""1"')
