"""The store of quotas in PostgreSQL: an unlogged table of the shared schema, and a function that takes from it.

What a crash of PostgreSQL loses is that quotas were used, and each is whole again within its window anyway. The table
holds digests: whose quota a row is cannot be told from it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.lively import LivelyConnection
from leasehold.core.models import Identified, PlatformModel
from leasehold.core.quotas.shared import Answer, Asked, StoreAway, window_digests
from leasehold.core.sqlstate import LOST_CONNECTION

_TAKE = "SELECT granted, ahead FROM platform.take_from_quotas($1, $2, $3, $4, $5)"
_FORGET = "SELECT platform.forget_whole_quotas($1)"
_FORGOTTEN_AT_ONCE = 5_000


class Quota(Identified, PlatformModel):
    """One window of one quota. Its id is no UUIDv7, but a digest of whose it is and of the window."""

    __tablename__ = "quotas"
    __table_args__ = ({"prefixes": ["UNLOGGED"], "info": {"travels": False}},)

    whole_at_ns: Mapped[int] = mapped_column(BigInteger)
    """When it is whole again, in nanoseconds of Unix time."""


class PostgresQuotas:
    """Counts quotas in PostgreSQL, over a connection of its own that is opened when it is needed."""

    def __init__(self, url: str, *, timeout_s: float, prepared_statements: bool) -> None:
        self._url = driver_url(url)
        self._timeout_s = timeout_s
        self._options: dict[str, Any] = {} if prepared_statements else {"statement_cache_size": 0}
        self._connection: DriverConnection | None = None
        self._lock = asyncio.Lock()

    async def take(self, asked: Sequence[Asked], *, at_ns: int | None = None) -> Sequence[Answer]:
        """Take each request out of its quotas, in this order, in one transaction and by PostgreSQL's clock.

        Raises:
            StoreAway: it cannot, or not in time.
        """
        numbers: list[int] = []
        ids: list[UUID] = []
        rates: list[tuple[int, int]] = []
        for number, one in enumerate(asked):
            of_one = [UUID(bytes=digest) for digest in window_digests(one)]
            ids += of_one
            rates += one.limits.rates
            numbers += [number] * len(of_one)
        intervals, capacities = [interval for interval, _ in rates], [capacity for _, capacity in rates]
        granted, ahead = await self._call(_TAKE, numbers, ids, intervals, capacities, at_ns)
        answers: list[Answer] = []
        start = 0
        for one in asked:
            end = start + len(one.limits.rates)
            answers.append((granted[start], ahead[start:end]))
            start = end
        return answers

    async def forget_whole(self) -> None:
        """Remove the quotas that are whole again.

        Raises:
            StoreAway: it cannot, or not in time.
        """
        forgotten = _FORGOTTEN_AT_ONCE
        while forgotten == _FORGOTTEN_AT_ONCE:
            (forgotten,) = await self._call(_FORGET, _FORGOTTEN_AT_ONCE)

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*LOST_CONNECTION):
                await connection.close(timeout=2)

    async def _call(self, statement: str, *arguments: object) -> asyncpg.Record:
        try:
            # Around the lock too: who waits behind another call waits no longer than for one of its own.
            async with asyncio.timeout(self._timeout_s), self._lock:
                row = await self._fetch(statement, arguments)
        except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
            raise StoreAway from error
        if row is None:
            raise LookupError("a function of one row returned none")
        return row

    async def _fetch(self, statement: str, arguments: Sequence[object]) -> asyncpg.Record | None:
        try:
            connection = self._connection
            if connection is None or connection.is_closed():
                connection = self._connection = await asyncpg.connect(
                    self._url, connection_class=LivelyConnection, **self._options
                )
            return await connection.fetchrow(statement, *arguments)
        except BaseException:
            # It may be in the middle of an answer that nobody will read.
            broken, self._connection = self._connection, None
            if broken is not None:
                broken.terminate()
            raise
