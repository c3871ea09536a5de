"""The worker's line to its queue: one connection, opened anew for as long as the database is away."""

import asyncio
import math
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import structlog

from leasehold.config import Settings
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.ids import new_id
from leasehold.core.lively import LivelyConnection
from leasehold.core.sqlstate import LOST_CONNECTION
from leasehold.tenancy.jobs.models import CHANNEL
from leasehold.tenancy.jobs.queue import JobQueue

_RETRY_S = 0.2
_ANSWER_TIMEOUT_S = 10.0
_LAST_ANSWER_TIMEOUT_S = 2.0
"""For each question that is asked when patience is over already."""
_PASSING = ("08", "25", "40", "53", "57")
"""Classes of SQLSTATE after which the same may be asked again: lost, read-only, conflict, no resources, ended."""

AnswerT = TypeVar("AnswerT")
_log = structlog.get_logger(__name__)


class QueueAway(RuntimeError):
    """The database does not answer, and the worker is to end; others will find its jobs."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class QueueLink:
    """Puts questions to the queue one after the other, each as often as it takes; all of them may be asked twice.

    With a direct URL it also listens: `on_news` is called whenever somebody enqueues. It is a worker in the eyes of
    the queue under `worker_id`, which is a new one whenever the old one was taken for dead.
    """

    def __init__(self, settings: Settings, *, on_news: Callable[[], None]) -> None:
        direct_url = settings.direct_url
        self._url = driver_url((direct_url or settings.database_url).get_secret_value())
        self._listens = direct_url is not None
        has_cache = settings.prepared_statements or self._listens
        self._options: dict[str, Any] = {} if has_cache else {"statement_cache_size": 0}
        self._on_news = on_news
        self._turn = asyncio.Lock()
        self._connection: DriverConnection | None = None
        self._is_away = False
        self._patient_until = math.inf
        self.worker_id: UUID = new_id()
        self.losses = 0
        """How often the connection was lost, and with it perhaps an answer."""

    async def ask(self, question: Callable[[JobQueue], Awaitable[AnswerT]]) -> AnswerT:
        """Return the answer of the queue, however long the database is away.

        Raises:
            QueueAway: patience has come to its end, and the database was away when it was last asked.
            asyncpg.PostgresError: the question is wrong.
        """
        async with self._turn:
            while True:
                patience_s = self._patient_until - time.monotonic()
                if patience_s < 0 and self._is_away:
                    raise QueueAway
                try:
                    async with asyncio.timeout(min(_ANSWER_TIMEOUT_S, max(patience_s, _LAST_ANSWER_TIMEOUT_S))):
                        connection = self._connection = self._connection or await self._connect()
                        self._is_away = False
                        queue = JobQueue(connection, self.worker_id)
                        if self._listens:
                            return await question(queue)
                        # A pooler must not hand the two halves of a query to two servers.
                        async with connection.transaction():
                            return await question(queue)
                except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
                    if isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] not in _PASSING:
                        raise
                    _log.warning("queue_connection_lost", error=repr(error))
                    self._drop()
                    self._is_away = True
                except asyncio.CancelledError:
                    # In the middle of an answer, perhaps, and the next question would get the rest of it.
                    self._drop()
                    raise
                await asyncio.sleep(min(_RETRY_S, max(0, self._patient_until - time.monotonic())))

    async def register(self) -> None:
        """Be a worker, and a new one if it was one before."""
        self.worker_id = new_id()
        await self.ask(lambda queue: queue.register(host=socket.gethostname(), pid=os.getpid()))

    def lose_patience(self, *, in_s: float) -> None:
        """Wait for the database no longer than so many seconds from now, nor than was said before."""
        self._patient_until = min(self._patient_until, time.monotonic() + in_s)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with suppress(*LOST_CONNECTION, asyncpg.PostgresError):
                await self._connection.close(timeout=2)
            self._drop()

    async def _connect(self) -> DriverConnection:
        connection: DriverConnection = await asyncpg.connect(
            self._url,
            connection_class=LivelyConnection,
            timeout=5,
            server_settings={"application_name": "leasehold-worker"},
            **self._options,
        )
        if self._listens:
            await connection.add_listener(CHANNEL, self._hear)
        return connection

    def _hear(self, *_: object) -> None:
        self._on_news()

    def _drop(self) -> None:
        self.losses += 1
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
