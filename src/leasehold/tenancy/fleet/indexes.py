"""Indexes that are made and dropped outside a transaction, in a way that is safe to repeat.

CREATE INDEX CONCURRENTLY that was killed or refused leaves an index behind that is not valid: nothing uses it, and
every write keeps it up to date. It is dropped before the next attempt.
"""

import re

from leasehold.core.database import DriverConnection
from leasehold.tenancy.names import quoted

_NAME = r'(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?P<name>"(?:[^"]|"")+"|\w+)'
_CREATE = re.compile(rf"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+{_NAME}", re.IGNORECASE)
_DROP = re.compile(rf"\s*DROP\s+INDEX\s+CONCURRENTLY\s+{_NAME}", re.IGNORECASE)
_REBUILD = re.compile(r"\s*REINDEX\b", re.IGNORECASE)
# REINDEX CONCURRENTLY names the index that it builds, and the one that it replaces, after the old one.
_LEFT_OVER = r"""
SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid AND NOT i.indisvalid
 WHERE c.relnamespace = pg_catalog.to_regnamespace($1) AND c.relname ~ '_cc(new|old)[0-9]*$'
"""
_IS_VALID = "SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass($1)"


async def run_concurrently(connection: DriverConnection, schema: str, statement: str) -> None:
    """Run a statement on a connection whose path is the schema, unless an earlier attempt has done it already.

    Raises:
        asyncpg.PostgresError: it failed.
    """
    if made := _CREATE.match(statement):
        is_valid = await _is_valid(connection, schema, made["name"])
        if is_valid:
            return
        if is_valid is False:
            await connection.execute(f"DROP INDEX CONCURRENTLY {quoted(schema)}.{made['name']}")
    elif (dropped := _DROP.match(statement)) and await _is_valid(connection, schema, dropped["name"]) is None:
        return
    elif _REBUILD.match(statement):
        for row in await connection.fetch(_LEFT_OVER, quoted(schema)):
            await connection.execute(f"DROP INDEX CONCURRENTLY {quoted(schema)}.{row[0]}")
    await connection.execute(statement)


async def _is_valid(connection: DriverConnection, schema: str, name: str) -> bool | None:
    """Return whether an index is valid, None if there is none; `name` is written as in SQL."""
    return await connection.fetchval(_IS_VALID, f"{quoted(schema)}.{name}")
