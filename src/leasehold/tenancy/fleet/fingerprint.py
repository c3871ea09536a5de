"""The fingerprint of a schema: everything of its shape that matters, without its name.

Two schemas of one revision have the same fingerprint, or one of them is not what the migrations made.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack

from leasehold.core.database import DriverConnection
from leasehold.tenancy.fleet.replay import SchemaTarget

# PostgreSQL prints a name with its schema wherever the schema is not in the path; here none is, and it is cut off.
# Tables are found by their dependency on the schema, which is indexed: pg_class has no index by schema.
_DESCRIPTION = """
WITH wanted AS (
    SELECT n.oid, n.nspname, n.nspacl, w.role_name, pg_catalog.quote_ident(n.nspname) || '.' AS prefix
      FROM unnest($1::text[], $2::text[]) w (schema_name, role_name)
      JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema_name
), tables AS (
    SELECT c.oid, c.relname, c.relkind, c.relacl, w.nspname, w.role_name, w.prefix
      FROM wanted w
      JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = w.oid
       AND d.classid = 'pg_catalog.pg_class'::regclass
      JOIN pg_catalog.pg_class c ON c.oid = d.objid
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
)
SELECT nspname, 'table ' || relname || ' ' || relkind::text AS line FROM tables
UNION ALL
SELECT t.nspname,
       'column ' || t.relname || '.' || a.attname || ' '
       || replace(pg_catalog.format_type(a.atttypid, a.atttypmod), t.prefix, '')
       || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
       || coalesce(' default ' || replace(pg_catalog.pg_get_expr(d.adbin, d.adrelid), t.prefix, ''), '')
       || CASE WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END
       || CASE WHEN a.attidentity <> '' THEN ' identity ' || a.attidentity::text ELSE '' END
  FROM tables t
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
UNION ALL
SELECT t.nspname,
       'constraint ' || t.relname || '.' || k.conname || ' '
       || replace(pg_catalog.pg_get_constraintdef(k.oid, true), t.prefix, '')
  FROM tables t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid AND k.contype <> 'n'
UNION ALL
SELECT t.nspname,
       'index ' || t.relname || ' ' || replace(pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), t.prefix, '')
       || CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END
  FROM tables t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
UNION ALL
SELECT r.nspname,
       'right ' || r.what || acl.privilege_type || ' '
       || CASE WHEN acl.grantee = 0 THEN 'PUBLIC'
               WHEN pg_catalog.pg_get_userbyid(acl.grantee) = r.role_name THEN 'tenant'
               ELSE pg_catalog.pg_get_userbyid(acl.grantee)::text END
  FROM (SELECT nspname, role_name, relname || ' ' AS what, relacl AS acl FROM tables
         UNION ALL
        SELECT nspname, role_name, '' AS what, nspacl AS acl FROM wanted) r
 CROSS JOIN LATERAL pg_catalog.aclexplode(r.acl) acl
"""


async def describe_all(connection: DriverConnection, targets: Sequence[SchemaTarget]) -> dict[str, list[str]]:
    """Return the shape of each schema: a sorted line for each table, column, constraint, index and right.

    In a transaction of the caller, its path leads to no schema afterwards.
    """
    schemas, roles = [target.schema for target in targets], [target.role for target in targets]
    async with AsyncExitStack() as stack:
        if not connection.is_in_transaction():
            await stack.enter_async_context(connection.transaction())
        await connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        rows = await connection.fetch(_DESCRIPTION, schemas, roles)
    lines: dict[str, list[str]] = {schema: [] for schema in schemas}
    for schema, line in rows:
        lines[schema].append(line)
    return {schema: sorted(found) for schema, found in lines.items()}


async def describe(connection: DriverConnection, target: SchemaTarget) -> list[str]:
    """Return the shape of one schema."""
    return (await describe_all(connection, [target]))[target.schema]


def tables_in(lines: Iterable[str]) -> frozenset[str]:
    """Return the names of the tables that a description has."""
    named = (line.removeprefix("table ").rpartition(" ") for line in lines if line.startswith("table "))
    return frozenset(name for name, _, kind in named if kind in {"r", "p"})


async def fingerprint(connection: DriverConnection, target: SchemaTarget) -> str:
    """Return the SHA-256 of a schema's description, in hex."""
    return digest(await describe(connection, target))


def digest(lines: Iterable[str]) -> str:
    """Return the fingerprint that a description comes to."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
