"""A glance at the shared schema, in a transaction that goes on for as long as there are rows to load.

PostgreSQL holds a lock on each table that a transaction has read until the transaction ends. A migration of the
platform would wait for it, and all requests behind the migration.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from leasehold.core.database import DriverConnection
from leasehold.tenancy.owner import LETS_GO


@asynccontextmanager
async def glance(connection: DriverConnection) -> AsyncGenerator[None]:
    """Let go of every table that is read in the block when that ends: what is rolled back holds nothing.

    A block that stands still is ended by PostgreSQL. That is rolled back too: loading may take its time.
    """
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        await connection.execute(LETS_GO)
        yield
    finally:
        await savepoint.rollback()
