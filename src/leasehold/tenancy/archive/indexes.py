"""Puts indexes away while tables are filled: one that is built afterwards costs a fraction of one that grows.

Those that hold a rule stay. That all are back is seen by the fingerprint, in which every index is a line.
"""

from leasehold.core.database import DriverConnection
from leasehold.tenancy.fleet.replay import message

# By the dependencies on a schema, which are indexed: pg_class has no index by schema, and thousands of schemas.
_PLAIN = """
SELECT format('DROP INDEX %I.%I', n.nspname, c.relname) AS gone, pg_catalog.pg_get_indexdef(i.indexrelid) AS back
  FROM pg_catalog.pg_namespace n
  JOIN pg_catalog.pg_depend d
    ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
   AND d.classid = 'pg_catalog.pg_class'::regclass
  JOIN pg_catalog.pg_class r ON r.oid = d.objid AND r.relkind = 'r' AND NOT r.relispartition
  JOIN pg_catalog.pg_index i ON i.indrelid = r.oid AND NOT i.indisunique AND NOT i.indisexclusion
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
 WHERE n.nspname = $1 ORDER BY c.relname
"""


async def put_away(connection: DriverConnection, schema: str) -> str:
    """Drop the indexes of a schema that hold no rule, and return the statements that make them again."""
    rows = await connection.fetch(_PLAIN, schema)
    await connection.execute(message(*(row["gone"] for row in rows)))
    return message(*(row["back"] for row in rows))
