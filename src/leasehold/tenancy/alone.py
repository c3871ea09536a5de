"""Lets one command at a time do what must not be done twice at once, or not while others need what it takes away."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from leasehold.core.database import DriverConnection
from leasehold.tenancy.install import connect

# An open transaction that has written nothing and looks at nothing keeps nobody and no vacuum waiting.
_BEGIN = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0"
# For who takes it away holds it for a moment.
_PATIENT = "SET LOCAL lock_timeout = '10s'"
_NEED = "SELECT pg_catalog.pg_advisory_xact_lock_shared(hashtextextended($1, 0))"
_TRY = "SELECT pg_catalog.pg_try_advisory_xact_lock(hashtextextended($1, 0))"


@asynccontextmanager
async def alone(url: str, what: str) -> AsyncGenerator[bool]:
    """Say whether nobody else does this on the database of `url` now; nobody begins while this lasts.

    It lasts as long as its connection: PostgreSQL lets go for who is killed. It holds a transaction, so it is right
    through a pooler too.

    Raises:
        OSError, asyncpg.PostgresError: the database does not answer, or refuses.
    """
    async with _transaction(url) as connection:
        yield await connection.fetchval(_TRY, what)


@asynccontextmanager
async def needing(url: str, what: str) -> AsyncGenerator[None]:
    """Say that this is needed, by as many as like, so that nobody takes it away while this lasts.

    Whoever would asks by `pg_try_advisory_xact_lock`. Let go of as by `alone`.

    Raises:
        OSError, asyncpg.PostgresError: the database does not answer, or refuses.
    """
    async with _transaction(url) as connection:
        await connection.execute(_PATIENT)
        await connection.fetchval(_NEED, what)
        yield


@asynccontextmanager
async def _transaction(url: str) -> AsyncGenerator[DriverConnection]:
    connection = await connect(url)
    try:
        await connection.execute(_BEGIN)
        yield connection
    finally:
        await connection.close(timeout=5)
