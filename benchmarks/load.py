"""The load: keep-alive connections, each with one request under way, by as little client as possible.

A slow client would be measured in place of the server. So there is no HTTP library here: bytes that were made before
are written, and of the answer only the status and the length are looked at.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

_GRACE_S = 30.0


class UnexpectedAnswer(RuntimeError):
    """A server answered with something else than success: {answer}."""

    def __init__(self, answer: bytes) -> None:
        super().__init__((self.__doc__ or "").format(answer=answer[:500]))


@dataclass(frozen=True, slots=True)
class Sample:
    """What one load of a few seconds came to. Latencies are in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Return the requests that were answered in a second."""
        return self.requests / self.seconds


async def load(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Sample:
    """Send requests to 127.0.0.1 for some seconds, in turn from one endless source for all connections.

    Raises:
        UnexpectedAnswer: a status other than 2xx.
        TimeoutError: half a minute after the end there are answers missing.
    """
    loop = asyncio.get_running_loop()
    latencies = list[float]()
    started = time.perf_counter()
    clients: list[_Client] = []
    try:
        for _ in range(connections):
            _, client = await loop.create_connection(
                lambda: _Client(requests, started + seconds, latencies.append, loop.create_future()), "127.0.0.1", port
            )
            clients.append(client)
        async with asyncio.timeout(seconds + _GRACE_S):
            await asyncio.gather(*(client.done for client in clients))
        elapsed = time.perf_counter() - started
    finally:
        for client in clients:
            client.close()
    return Sample(len(latencies), elapsed, *_percentiles(latencies))


def _percentiles(latencies: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return cuts[49] * 1000, cuts[98] * 1000


class _Client(asyncio.Protocol):
    """One connection: asks again as soon as it is answered, until the deadline."""

    def __init__(
        self, turn: Iterator[bytes], deadline: float, record: Callable[[float], None], done: asyncio.Future[None]
    ) -> None:
        self.done = done
        self._turn, self._deadline, self._record = turn, deadline, record
        self._received, self._length = b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not `isinstance`: uvloop's are none of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if not self._length:
            self._length = self._length_of_answer()
        if not self._length or len(self._received) < self._length:
            return
        now = time.perf_counter()
        self._record(now - self._asked_at)
        self._received, self._length = b"", 0
        if now < self._deadline:
            self._ask()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the server closed a connection under load"))

    def close(self) -> None:
        self.done.cancel()
        self._transport.abort()

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        self._transport.write(next(self._turn))

    def _length_of_answer(self) -> int:
        """Return the length of head and body, 0 while the head is not complete."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return 0
        head = self._received[:end].lower()
        if not head.startswith(b"http/1.1 2"):
            if not self.done.done():
                self.done.set_exception(UnexpectedAnswer(self._received))
            return 0
        return end + 4 + int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r")[0])
