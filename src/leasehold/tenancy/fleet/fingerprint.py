"""The fingerprint of a schema: everything of its shape that matters, without its name.

Two schemas of one revision have the same fingerprint, or one of them is not what the migrations made.
"""

import hashlib

from leasehold.core.database import DriverConnection
from leasehold.tenancy.fleet.replay import SchemaTarget, bind_owner

# Run with the schema first in the path, so that PostgreSQL prints its objects without the schema's name.
_DESCRIPTION = """
WITH tables AS (
    SELECT c.oid, c.relname, c.relkind, c.relacl
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
)
SELECT 'table ' || relname || ' ' || relkind::text AS line FROM tables
UNION ALL
SELECT 'column ' || t.relname || '.' || a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
       || coalesce(' default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
       || CASE WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END
       || CASE WHEN a.attidentity <> '' THEN ' identity ' || a.attidentity::text ELSE '' END
  FROM tables t
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint ' || t.relname || '.' || k.conname || ' ' || pg_catalog.pg_get_constraintdef(k.oid, true)
  FROM tables t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid AND k.contype <> 'n'
UNION ALL
SELECT 'index ' || t.relname || ' ' || pg_catalog.pg_get_indexdef(i.indexrelid, 0, true)
       || CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END
  FROM tables t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
UNION ALL
SELECT 'right ' || t.relname || ' ' || acl.privilege_type || ' '
       || CASE WHEN acl.grantee = 0 THEN 'PUBLIC'
               WHEN pg_catalog.pg_get_userbyid(acl.grantee) = $2 THEN 'tenant'
               ELSE pg_catalog.pg_get_userbyid(acl.grantee)::text END
  FROM tables t CROSS JOIN LATERAL pg_catalog.aclexplode(t.relacl) acl
"""


async def describe(connection: DriverConnection, target: SchemaTarget) -> list[str]:
    """Return the shape of a schema, one sorted line for each table, column, constraint, index and right."""
    async with connection.transaction():
        await bind_owner(connection, target.schema)
        rows = await connection.fetch(_DESCRIPTION, target.schema, target.role)
    return sorted(row["line"] for row in rows)


async def fingerprint(connection: DriverConnection, target: SchemaTarget) -> str:
    """Return the SHA-256 of a schema's description, in hex."""
    return hashlib.sha256("\n".join(await describe(connection, target)).encode()).hexdigest()
