"""The connections of the readers, in a few sub-pools, and never more than a set number.

A tenant is routed to the sub-pool that its id names, because a backend answers faster for tenants it has met: it
keeps what it knows of their tables. It keeps that for ever, so a connection retires when it has met too many. A
sub-pool that is empty borrows from the others; strict ones would idle while a hot tenant waits. And who waits is served
by a connection of its own sub-pool, as long as that does no harm to others.
"""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg

from leasehold.core.database import driver_url
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.figures import Histogram
from leasehold.core.lively import LivelyConnection
from leasehold.core.usage import UsageMeter
from leasehold.tenancy.bind.line import Line
from leasehold.tenancy.bind.trace import Statements

_HAND_OVERS = 20


class ReaderConnection(LivelyConnection):
    """A connection with the memory of whom it has served."""

    home: int = 0
    hand_overs: int = 0
    """How often in a row it was handed over without a COMMIT of its own."""
    begun_at: float = 0.0
    """When the transaction was begun, in seconds of `time.perf_counter`."""
    tenants: set[UUID]


class ReaderPool:
    """Hands out connections, opened as they are needed, at most `size` of them."""

    def __init__(
        self,
        url: str,
        *,
        size: int,
        sub_pools: int,
        max_tenants: int,
        timeout_s: float,
        prepared_statements: bool,
        tenant_roles: bool,
        usage: UsageMeter | None = None,
        statements: Statements | None = None,
    ) -> None:
        self.tenant_roles = tenant_roles
        self.usage = usage or UsageMeter()
        self.statements = statements or Statements()
        self.seconds = Histogram()
        """For how long transactions were open."""
        self.size = size
        self.timeouts = 0
        """How often somebody has waited in vain."""
        self._url = driver_url(url)
        self._max_tenants = max_tenants
        self._timeout_s = timeout_s
        self._options: dict[str, Any] = {} if prepared_statements else {"statement_cache_size": 0}
        self._idle: list[list[ReaderConnection]] = [[] for _ in range(max(1, min(sub_pools, size)))]
        self._open_of = [0] * len(self._idle)
        # Given a connection, or None where there is room to open one.
        self._line = Line[ReaderConnection | None](len(self._idle), patience=4 * size)
        self._closed = False

    @property
    def idle(self) -> int:
        """How many connections are open and unused."""
        return sum(map(len, self._idle))

    @property
    def open(self) -> int:
        """How many connections are open or being opened."""
        return sum(self._open_of)

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""
        return len(self._line)

    async def fill(self) -> None:
        """Open all connections that the pool may hold, spread over the sub-pools."""
        while self.open < self.size:
            self.release(await self._connect())

    async def close(self) -> None:
        """Close all idle connections; one that is in use is closed when it comes back."""
        self._closed = True
        for idle in self._idle:
            while idle:
                connection = idle.pop()
                self._free_place(connection.home)
                await connection.close(timeout=2)

    async def acquire(self, tenant_id: UUID) -> ReaderConnection:
        """Return a connection for one transaction of a tenant; hand it back by `release` or `discard`.

        Raises:
            DatabaseUnavailable: none became free in time, or the database does not answer.
        """
        # As many tenants for a sub-pool as it has connections, or those that have more would borrow work all the time.
        home = tenant_id.int % self.size % len(self._idle)
        connection = self._take(home)
        if connection is None:
            connection = await self._connect_or_wait(home)
        connection.tenants.add(tenant_id)
        return connection

    async def replace(self, dead: ReaderConnection, tenant_id: UUID) -> ReaderConnection:
        """Return a new connection in the place of one that was found dead, and that keeps its place if this raises.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        dead.terminate()
        connection = await self._dial(dead.home)
        connection.tenants.add(tenant_id)
        return connection

    def hand_over(self, connection: ReaderConnection) -> bool:
        """Hand a connection whose read is done to who waits for one, and say whether somebody does.

        Its transaction is still open: whoever begins the next one says COMMIT in the same message. That spares one of
        three round trips when there are many. Not for ever: behind a pooler, other processes wait for the same server.
        """
        if connection.hand_overs >= _HAND_OVERS or len(connection.tenants) > self._max_tenants or self._closed:
            return False
        connection.hand_overs += 1
        return self._line.give(connection, connection.home)

    def release(self, connection: ReaderConnection) -> None:
        """Take a connection back; only one that is outside any transaction can be used again."""
        unfit = connection.is_closed() or connection.is_in_transaction() or len(connection.tenants) > self._max_tenants
        if self._closed or unfit:
            self.discard(connection)
            return
        connection.hand_overs = 0
        if not self._line.give(connection, connection.home):
            self._idle[connection.home].append(connection)

    def discard(self, connection: ReaderConnection) -> None:
        """Close a connection in whatever state it is, and let somebody who waits open another."""
        connection.terminate()
        self._free_place(connection.home)

    def _take(self, home: int) -> ReaderConnection | None:
        """Return an idle connection, of the tenant's own sub-pool if it has one."""
        idle = self._idle[home]
        if not idle:
            if self.open < self.size:
                return None
            idle = max(self._idle, key=len)
        while idle:
            connection = idle.pop()
            if not connection.is_closed():
                return connection
            self._free_place(connection.home)
        return None

    async def _connect_or_wait(self, home: int) -> ReaderConnection:
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        while self.open >= self.size:
            connection = await self._wait(home, deadline)
            if connection is not None:
                return connection
        return await self._connect()

    async def _wait(self, home: int, deadline: float) -> ReaderConnection | None:
        """Return the next connection that comes back, or None when there is room to open one.

        Raises:
            DatabaseUnavailable: nothing came back before the deadline (seconds of the event loop's clock).
        """
        waiter = self._line.join(home)
        # Not `asyncio.timeout`, which costs more than all the rest of waiting.
        timer = asyncio.get_running_loop().call_at(deadline, _give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and not waiter.exception():
                # It was served in the moment in which it was cancelled: the connection goes to the next one.
                connection = waiter.result()
                self.release(connection) if connection is not None else self._line.give(None, None)
            raise
        except DatabaseUnavailable:
            self.timeouts += 1
            raise
        finally:
            timer.cancel()
            self._line.forget_who_gave_up()
            # An exception holds this frame, and this frame what holds the exception: without this, every request that
            # is refused would stay in memory until the garbage collector comes.
            del waiter

    async def _connect(self) -> ReaderConnection:
        """Return a new connection, of the sub-pool that has fewest, so that none is left without."""
        home = self._open_of.index(min(self._open_of))
        self._open_of[home] += 1
        try:
            return await self._dial(home)
        except BaseException:
            self._free_place(home)
            raise

    async def _dial(self, home: int) -> ReaderConnection:
        try:
            connection: ReaderConnection = await asyncpg.connect(
                self._url, connection_class=ReaderConnection, timeout=5, **self._options
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise DatabaseUnavailable from error
        connection.home = home
        connection.tenants = set()
        return connection

    def _free_place(self, home: int) -> None:
        self._open_of[home] -= 1
        self._line.give(None, None)


def _give_up(waiter: asyncio.Future[ReaderConnection | None]) -> None:
    if not waiter.done():
        waiter.set_exception(DatabaseUnavailable())
