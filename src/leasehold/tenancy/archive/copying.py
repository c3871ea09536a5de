"""Reads the rows of a table as PostgreSQL's COPY text, and says what they come to."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from leasehold.core.database import DriverConnection
from leasehold.tenancy.archive.rewrapping import RowChange

FORMATS = (
    "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'iso_8601'; "
    "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL client_encoding = 'UTF8'; "
    "SET LOCAL row_security = off; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)
"""The statements after which equal values are written alike, whatever the server, the database or the login prefer, and
as long as it takes.
"""

Take = Callable[[bytes], object]
"""Is given the text piece by piece."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the rows of a table come to."""

    rows: int
    bytes: int
    sha256: str


async def copy_out(
    connection: DriverConnection, query: str, take: Take, *, change: RowChange | None = None
) -> Contents:
    """Give all rows of a query to `take`, changed by `change`, and return what they come to.

    Raises:
        asyncpg.PostgresError: the query failed.
    """
    digest, size = hashlib.sha256(), 0

    async def output(piece: bytes) -> None:
        nonlocal size
        piece = change.feed(piece) if change else piece
        digest.update(piece)
        size += len(piece)
        take(piece)

    status = await connection.copy_from_query(query, output=output)
    if change:
        change.finish()
    return Contents(rows_of(status), size, digest.hexdigest())


def rows_of(status: str) -> int:
    """Return how many rows a COPY has told of."""
    return int(status.rpartition(" ")[2])
