"""The connections of the readers, in a few sub-pools, and never more than a set number.

No tenant holds more of them than its share, for its slow queries are not to keep the others waiting.

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
from leasehold.core.line import Line
from leasehold.core.lively import LivelyConnection
from leasehold.core.sqlstate import LOST_CONNECTION
from leasehold.core.usage import UsageMeter
from leasehold.tenancy.bind.binding import binding_sql
from leasehold.tenancy.bind.trace import Statements
from leasehold.tenancy.context import TenantRef

_HAND_OVERS = 20


class ReaderConnection(LivelyConnection):
    """A connection with the memory of whom it has served."""

    home: int = 0
    tenant_id: UUID | None = None
    """Who holds it, None while nobody does."""
    hand_overs: int = 0
    """How often in a row it was handed over without a COMMIT of its own."""
    begun_at: float = 0.0
    """When the transaction was begun, in seconds of `time.perf_counter`."""
    tenants: set[UUID]


class ReaderPool:
    """Hands out connections, opened as they are needed, at most `size` of them, and to one tenant at most `share`."""

    def __init__(
        self,
        url: str,
        *,
        size: int,
        share: int | None = None,
        sub_pools: int,
        max_tenants: int,
        timeout_s: float,
        prepared_statements: bool,
        tenant_roles: bool,
        statement_ms: int | None = None,
        usage: UsageMeter | None = None,
        statements: Statements | None = None,
    ) -> None:
        self._tenant_roles = tenant_roles
        self._statement_ms = statement_ms
        self.usage = usage or UsageMeter()
        self.statements = statements or Statements()
        self.seconds = Histogram()
        """For how long transactions were open."""
        self.size = size
        self.timeouts = 0
        """How often somebody has waited in vain, whose tenant had not its share."""
        self._url = driver_url(url)
        self._max_tenants = max_tenants
        self._timeout_s = timeout_s
        self._options: dict[str, Any] = {} if prepared_statements else {"statement_cache_size": 0}
        self._idle: list[list[ReaderConnection]] = [[] for _ in range(max(1, min(sub_pools, size)))]
        self._open_of = [0] * len(self._idle)
        # Given a connection, or a place for one, by its sub-pool. The place stays counted among the open ones, or a
        # newcomer would have it before whoever was given it has woken.
        self._line = Line[ReaderConnection | int](
            len(self._idle), share=share or size, unwanted=self._take_back, patience=4 * size
        )
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

    def binding(self, tenant: TenantRef, *, is_hurried: bool) -> str:
        """Return what is said behind the BEGIN of a transaction on a tenant, held to the time of statements or not."""
        statement_ms = self._statement_ms if is_hurried else None
        return binding_sql(tenant, tenant_roles=self._tenant_roles, statement_ms=statement_ms)

    async def fill(self) -> None:
        """Open all connections that the pool may hold, spread over the sub-pools."""
        while self.open < self.size:
            self.release(await self._opened(self._new_place()))

    async def close(self) -> None:
        """Close all idle connections; one that is in use is closed when it comes back."""
        self._closed = True
        closing: list[ReaderConnection] = []
        for idle in self._idle:
            while idle:
                closing.append(idle.pop())
                self._free_place(closing[-1].home)
        # One that does not answer in time has been broken off, and that is as good.
        await asyncio.gather(*(connection.close(timeout=2) for connection in closing), return_exceptions=True)

    async def acquire(self, tenant_id: UUID) -> ReaderConnection:
        """Return a connection for one transaction of a tenant; hand it back by `release` or `discard`.

        Raises:
            TooManyAtOnce: none became free in time, and the tenant holds its share.
            DatabaseUnavailable: none became free in time, or the database does not answer.
        """
        # As many tenants for a sub-pool as it has connections, or those that have more would borrow work all the time.
        home = tenant_id.int % self.size % len(self._idle)
        connection = None
        if self._line.admits(tenant_id):
            connection = self._take(home)
        if connection is None:
            connection = await self._connect_or_wait(tenant_id, home)
        else:
            self._line.took(tenant_id)
        connection.tenant_id = tenant_id
        connection.tenants.add(tenant_id)
        return connection

    async def replace(self, dead: ReaderConnection, tenant_id: UUID) -> ReaderConnection:
        """Return a new connection in the place of one that was found dead, and that keeps its place if this raises.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        dead.terminate()
        connection = await self._dial(dead.home)
        connection.tenant_id, dead.tenant_id = tenant_id, None
        connection.tenants.add(tenant_id)
        return connection

    def hand_over(self, connection: ReaderConnection) -> bool:
        """Hand a connection whose read is done to who waits for one, and say whether somebody does.

        Its transaction is still open: whoever begins the next one says COMMIT in the same message. That spares one of
        three round trips when there are many. Not for ever: behind a pooler, other processes wait for the same server.
        """
        if connection.hand_overs >= _HAND_OVERS or len(connection.tenants) > self._max_tenants or self._closed:
            return False
        tenant_id = self._given_back(connection)
        if self._line.give(connection, connection.home):
            connection.hand_overs += 1
            return True
        if tenant_id is not None:
            connection.tenant_id = tenant_id
            self._line.took(tenant_id)
        return False

    def release(self, connection: ReaderConnection) -> None:
        """Take a connection back; only one that is outside any transaction can be used again."""
        unfit = connection.is_closed() or connection.is_in_transaction() or len(connection.tenants) > self._max_tenants
        if self._closed or unfit:
            self.discard(connection)
            return
        connection.hand_overs = 0
        self._given_back(connection)
        if not self._line.give(connection, connection.home):
            self._idle[connection.home].append(connection)

    def discard(self, connection: ReaderConnection) -> None:
        """Close a connection in whatever state it is, and let somebody who waits open another."""
        connection.terminate()
        self._given_back(connection)
        self._free_place(connection.home)

    def _given_back(self, connection: ReaderConnection) -> UUID | None:
        """Note that nobody holds a connection any more, and return who did."""
        tenant_id, connection.tenant_id = connection.tenant_id, None
        if tenant_id is not None:
            self._line.gave_back(tenant_id)
        return tenant_id

    def _take_back(self, given: ReaderConnection | int) -> None:
        """Take back what nobody wants: a connection, or a place for one."""
        if isinstance(given, int):
            self._free_place(given)
        else:
            self.release(given)

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

    async def _connect_or_wait(self, tenant_id: UUID, home: int) -> ReaderConnection:
        if self._line.admits(tenant_id) and self.open < self.size:
            self._line.took(tenant_id)
            return await self._opened(self._new_place(), tenant_id)
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            given = await self._line.wait(tenant_id, deadline, home=home)
        except DatabaseUnavailable:
            self.timeouts += 1
            raise
        return await self._opened(given, tenant_id) if isinstance(given, int) else given

    def _new_place(self) -> int:
        """Take a place for one more connection, in the sub-pool that has fewest, so that none is left without."""
        home = self._open_of.index(min(self._open_of))
        self._open_of[home] += 1
        return home

    def _free_place(self, home: int) -> None:
        """Give a place to who waits; if nobody does, there is one connection less."""
        if not self._line.give(home, None):
            self._open_of[home] -= 1

    async def _opened(self, home: int, tenant_id: UUID | None = None) -> ReaderConnection:
        """Return a new connection in a place that was taken for it, or given to a tenant; if this raises, it is free.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        try:
            return await self._dial(home)
        except BaseException:
            # In this order, or the place would be offered to nobody of a tenant that is still thought to hold it.
            if tenant_id is not None:
                self._line.gave_back(tenant_id)
            self._free_place(home)
            raise

    async def _dial(self, home: int) -> ReaderConnection:
        try:
            connection: ReaderConnection = await asyncpg.connect(
                self._url, connection_class=ReaderConnection, timeout=5, **self._options
            )
        except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
            raise DatabaseUnavailable from error
        connection.home = home
        connection.tenants = set()
        return connection
