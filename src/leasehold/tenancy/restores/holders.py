"""Who holds the tables of a tenant, so that a move has to wait."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from leasehold.core.database import DriverConnection

# To who is not told much of others, an autovacuum worker is shown without its kind. It alone works in a database for no
# user.
_HOLDERS = """
SELECT DISTINCT l.pid, a.application_name, a.usesysid IS NULL AS is_autovacuum
  FROM platform.tenants t
  JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema_name
  JOIN pg_catalog.pg_class r ON r.relnamespace = n.oid
  JOIN pg_catalog.pg_locks l ON l.relation = r.oid
  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()
 WHERE t.id = $1 AND l.granted AND l.mode <> 'AccessShareLock' AND l.pid <> pg_backend_pid()
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
 ORDER BY l.pid
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """A server process that writes to a table, or has locked one otherwise."""

    pid: int
    application_name: str
    is_autovacuum: bool

    def __str__(self) -> str:
        """Return how an operator finds it."""
        name = "autovacuum" if self.is_autovacuum else self.application_name
        return f"process {self.pid} ({name})" if name else f"process {self.pid}"


async def holders_of(connection: DriverConnection, tenant_id: UUID) -> list[Holder]:
    """Return who holds locks on the tables of a tenant now; who only reads does not count."""
    # In a transaction, PostgreSQL shows who was there when it was first asked.
    await connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
    rows: Any = await connection.fetch(_HOLDERS, tenant_id)
    return [Holder(row["pid"], row["application_name"] or "", row["is_autovacuum"]) for row in rows]
