"""What a role is granted on the tables of a schema."""

from sqlalchemy import Column, MetaData, Table, Text

from leasehold.tenancy.rights import rights_sql


def _metadata(**rights: str | None) -> MetaData:
    metadata = MetaData()
    for name, right in rights.items():
        Table(name, metadata, Column("id", Text), info={"rights": right} if right else {})
    return metadata


def _sql(metadata: MetaData, *tables: str) -> list[str]:
    return rights_sql(metadata, tables, schema="t_1", role="lh_t_1")


def test_everything_is_revoked_before_anything_is_granted() -> None:
    assert _sql(_metadata(items=None), "items") == [
        'GRANT USAGE ON SCHEMA "t_1" TO "lh_t_1"',
        'REVOKE ALL ON ALL TABLES IN SCHEMA "t_1" FROM "lh_t_1"',
        'GRANT SELECT, INSERT, UPDATE, DELETE ON "t_1"."items" TO "lh_t_1"',
    ]


def test_each_table_is_granted_what_its_model_declares() -> None:
    metadata = _metadata(items="read_write", log="append_only", secrets="read_only", slots="read_update")
    assert set(_sql(metadata, "items", "log", "secrets", "slots")[2:]) == {
        'GRANT SELECT, INSERT, UPDATE, DELETE ON "t_1"."items" TO "lh_t_1"',
        'GRANT SELECT, INSERT ON "t_1"."log" TO "lh_t_1"',
        'GRANT SELECT ON "t_1"."secrets" TO "lh_t_1"',
        'GRANT SELECT, UPDATE ON "t_1"."slots" TO "lh_t_1"',
    }


def test_tables_with_equal_rights_are_granted_together() -> None:
    assert _sql(_metadata(users=None, items=None), "users", "items")[2:] == [
        'GRANT SELECT, INSERT, UPDATE, DELETE ON "t_1"."items", "t_1"."users" TO "lh_t_1"'
    ]


def test_the_version_of_a_schema_is_only_read() -> None:
    assert _sql(_metadata(), "alembic_version")[2:] == ['GRANT SELECT ON "t_1"."alembic_version" TO "lh_t_1"']


def test_a_model_whose_table_is_not_there_yet_is_granted_nothing() -> None:
    assert len(_sql(_metadata(items=None))) == 2


def test_names_are_quoted() -> None:
    (_, _, grant) = rights_sql(_metadata(), ['a"b'], schema='t"1', role='r"1')
    assert grant.endswith('ON "t""1"."a""b" TO "r""1"')
