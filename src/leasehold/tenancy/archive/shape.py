"""What an archive needs to know of the tables of a schema, read from the catalog."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import MetaData

from leasehold.core.database import DriverConnection
from leasehold.core.models import travels
from leasehold.tenancy.archive.order import loading_order
from leasehold.tenancy.names import VERSION_TABLE, quoted

# By the dependencies on a schema, which are indexed: pg_class has no index by schema, and thousands of schemas.
_OF_SCHEMA = """
  FROM pg_catalog.pg_namespace n
  JOIN pg_catalog.pg_depend d
    ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
   AND d.classid = 'pg_catalog.pg_class'::regclass
  JOIN pg_catalog.pg_class r ON r.oid = d.objid AND r.relkind IN ('r', 'p') AND NOT r.relispartition
 WHERE n.nspname = $1
"""
_NAMES = f"SELECT r.relname::text AS name {_OF_SCHEMA} ORDER BY 1"
_SHAPES = f"""
SELECT r.relname::text AS name,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              ORDER BY a.attnum) AS columns,
       ARRAY(SELECT a.attname::text
               FROM pg_catalog.pg_index i
              CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
              WHERE i.indrelid = r.oid AND i.indisprimary ORDER BY k.place) AS key,
       ARRAY(SELECT f.relname::text
               FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class f ON f.oid = c.confrelid
              WHERE c.conrelid = r.oid AND c.contype = 'f') AS referred
       {_OF_SCHEMA}
"""


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table of a schema."""

    schema: str
    name: str
    columns: tuple[str, ...]
    """Those that can be written: what PostgreSQL computes itself is none of them."""
    key: tuple[str, ...]
    """The primary key."""

    def query(self, columns: Iterable[str] | None = None) -> str:
        """Return the SELECT of all rows in the order of the primary key, which is the same in every installation."""
        listed = ", ".join(map(quoted, columns or self.columns))
        order = ", ".join(map(quoted, self.key or self.columns))
        return f"SELECT {listed} FROM {quoted(self.schema)}.{quoted(self.name)} ORDER BY {order}"


async def table_names(connection: DriverConnection, schema: str) -> list[str]:
    """Return the names of all tables of a schema, the version table included."""
    return [row["name"] for row in await connection.fetch(_NAMES, schema)]


async def table_shapes(connection: DriverConnection, schema: str) -> list[TableShape]:
    """Return all tables of a schema but the version table, each behind those that it refers to."""
    rows = {row["name"]: row for row in await connection.fetch(_SHAPES, schema) if row["name"] != VERSION_TABLE}
    order = loading_order({name: row["referred"] for name, row in rows.items()})
    return [TableShape(schema, name, tuple(rows[name]["columns"]), tuple(rows[name]["key"])) for name in order]


def staying(metadata: MetaData) -> frozenset[str]:
    """Return the tables that no archive has, for what is in them means nothing elsewhere."""
    return frozenset(table.name for table in metadata.tables.values() if not travels(table))
