"""Rights: what a role may do with the tables of a schema, as their models declare it. No broad default privileges."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import MetaData

from leasehold.core.models import Rights, table_rights
from leasehold.tenancy.names import VERSION_TABLE, quoted

PRIVILEGES: dict[Rights, frozenset[str]] = {
    "read_write": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
    "read_update": frozenset({"SELECT", "UPDATE"}),
    "append_only": frozenset({"SELECT", "INSERT"}),
    "read_only": frozenset({"SELECT"}),
}

# By the dependencies on a schema, which are indexed: pg_class has no index by schema, and thousands of schemas.
HELD_RIGHTS = """
SELECT c.relname AS table_name,
       ARRAY(SELECT acl.privilege_type FROM pg_catalog.aclexplode(c.relacl) acl
              WHERE pg_catalog.pg_get_userbyid(acl.grantee) = $2) AS privileges
  FROM pg_catalog.pg_namespace n
  JOIN pg_catalog.pg_depend d
    ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
   AND d.classid = 'pg_catalog.pg_class'::regclass
  JOIN pg_catalog.pg_class c ON c.oid = d.objid
 WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
 UNION ALL
SELECT NULL,
       ARRAY(SELECT acl.privilege_type FROM pg_catalog.aclexplode(n.nspacl) acl
              WHERE pg_catalog.pg_get_userbyid(acl.grantee) = $2)
  FROM pg_catalog.pg_namespace n WHERE n.nspname = $1
"""
"""Asks what the role $2 holds on each table of the schema $1, and (where the name is NULL) on the schema itself."""


def rights_sql(metadata: MetaData, held: Iterable[Mapping[str, Any]], *, schema: str, role: str) -> list[str]:
    """Return the statements after which `role`, who has `held` now, holds exactly what the models declare.

    A table without a model is read and written; Alembic's version table is only read. What is right already is left
    alone: a GRANT costs PostgreSQL as much as a small ALTER TABLE.
    """
    declared: dict[str, Rights] = {table.name: table_rights(table) for table in metadata.tables.values()}
    declared[VERSION_TABLE] = "read_only"
    statements: list[str] = []
    too_much: defaultdict[str, list[str]] = defaultdict(list)
    missing: defaultdict[str, list[str]] = defaultdict(list)
    for row in sorted(held, key=lambda row: row["table_name"] or ""):
        name, has = row["table_name"], frozenset[str](row["privileges"])
        if name is None:
            if "USAGE" not in has:
                statements.append(f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)}")
            continue
        wanted = PRIVILEGES[declared.get(name, "read_write")]
        too_much[", ".join(sorted(has - wanted))].append(f"{quoted(schema)}.{quoted(name)}")
        missing[", ".join(sorted(wanted - has))].append(f"{quoted(schema)}.{quoted(name)}")
    for verb, tables_by_privileges, preposition in (("REVOKE", too_much, "FROM"), ("GRANT", missing, "TO")):
        for privileges, tables in tables_by_privileges.items():
            if privileges:
                statements.append(f"{verb} {privileges} ON {', '.join(tables)} {preposition} {quoted(role)}")
    return statements
