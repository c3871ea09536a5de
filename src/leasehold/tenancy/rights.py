"""Rights: what a role may do with the tables of a schema, as their models declare it. No broad default privileges."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import MetaData

from leasehold.core.models import Rights, table_rights
from leasehold.tenancy.names import VERSION_TABLE, quoted

PRIVILEGES: dict[Rights, str] = {
    "read_write": "SELECT, INSERT, UPDATE, DELETE",
    "read_update": "SELECT, UPDATE",
    "append_only": "SELECT, INSERT",
    "read_only": "SELECT",
}


def rights_sql(metadata: MetaData, tables: Iterable[str], *, schema: str, role: str) -> list[str]:
    """Return the statements after which `role` holds on `tables` exactly what their models declare.

    A table without a model is read and written; Alembic's version table is only read.
    """
    declared: dict[str, Rights] = {table.name: table_rights(table) for table in metadata.tables.values()}
    declared[VERSION_TABLE] = "read_only"
    by_privileges: defaultdict[str, list[str]] = defaultdict(list)
    for table in sorted(tables):
        by_privileges[PRIVILEGES[declared.get(table, "read_write")]].append(f"{quoted(schema)}.{quoted(table)}")
    grantee = quoted(role)
    return [
        f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {grantee}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {quoted(schema)} FROM {grantee}",
        *(f"GRANT {privileges} ON {', '.join(names)} TO {grantee}" for privileges, names in by_privileges.items()),
    ]
