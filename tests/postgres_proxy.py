"""A TCP proxy in front of PostgreSQL that reads the frontend's messages: what was sent, in how many round trips.

It follows the message formats of PostgreSQL's documentation, chapter "Frontend/Backend Protocol".
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

_SSL_REQUEST = 80877103
_QUERY, _PARSE, _SYNC = b"Q", b"P", b"S"
_KEY_DATA = b"K\0\0\0\x0c"
"""How the message begins in which a backend says its process id."""
_WORKS_WITHIN_S = 10.0
"""So long it is waited for PostgreSQL to answer what it was asked; what waits for a lock is not answered."""


@dataclass
class Hold:
    """Whose COMMIT is held up: of the first connection that says it behind a statement with this text in it."""

    behind: str
    delivers: bool
    """Whether PostgreSQL gets the COMMIT, and only its answer does not come back."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is held up; where PostgreSQL gets the COMMIT, when that is done."""


@dataclass
class Strike:
    """What is done to whoever asks for the n-th time, once."""

    at: int
    """The round trip that is struck, counted from one."""
    delivers: bool
    """Whether PostgreSQL gets what was asked, and has done it before, so that only its answer does not come back."""
    act: Callable[[int], Awaitable[None]]
    """Is told the process id of the backend."""
    behind: str = ""
    """Where `at` is 0: the first COMMIT behind a statement with this text in it is struck instead."""
    is_done: asyncio.Event = field(default_factory=asyncio.Event)

    def is_meant(self, round_trip: int, said: str, message: bytes) -> bool:
        """Tell whether it is this message that is to be struck."""
        return round_trip == self.at or bool(self.behind and self.behind in said and b"COMMIT" in message)


@dataclass
class Traffic:
    """What clients sent: one round trip ends with each simple query and each Sync."""

    port: int = 0
    round_trips: int = 0
    statements: list[str] = field(default_factory=list)
    hold: Hold | None = None
    strike: Strike | None = None
    commits: list[int] = field(default_factory=list)
    """The round trips that said COMMIT."""

    def reset(self) -> None:
        """Forget what was sent so far."""
        self.round_trips = 0
        self.statements.clear()
        self.commits.clear()


@contextlib.asynccontextmanager
async def proxy(host: str, port: int) -> AsyncGenerator[Traffic]:
    """Run a proxy on a free port of 127.0.0.1."""
    traffic = Traffic()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(host, port)
        answers, heard = asyncio.Event(), asyncio.Event()
        answers.set()
        backend: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        answering = asyncio.create_task(_backend(upstream_reader, writer, answers, heard, backend))

        async def struck(strike: Strike) -> None:
            await strike.act(await backend)
            answering.cancel()
            strike.is_done.set()

        for task in (
            answering,
            asyncio.create_task(_frontend(reader, upstream_writer, traffic, answers, heard, struck)),
        ):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    traffic.port = server.sockets[0].getsockname()[1]
    try:
        yield traffic
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # in which transports close


async def _frontend(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    traffic: Traffic,
    answers: asyncio.Event,
    heard: asyncio.Event,
    struck: Callable[[Strike], Awaitable[None]],
) -> None:
    said = ""
    with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:  # start-up messages have no type byte; an SSLRequest is followed by the real one
            head = await reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            writer.write(head + await reader.readexactly(length - 8))
            if code != _SSL_REQUEST:
                break
        while True:
            head = await reader.readexactly(5)
            kind, (length,) = head[:1], struct.unpack("!I", head[1:])
            body = await reader.readexactly(length - 4)
            held: Hold | None = None
            if kind in {_QUERY, _PARSE}:
                statement = (body.rstrip(b"\0") if kind == _QUERY else body.split(b"\0")[1]).decode()
                traffic.statements.append(statement)
                said += statement
                hold = traffic.hold
                if hold and kind == _QUERY and hold.behind in said and "COMMIT" in statement:
                    held, traffic.hold = hold, None
                    answers.clear()
                    if not held.delivers:
                        held.reached.set()
                        continue
            strike = None
            if kind in {_QUERY, _SYNC}:
                traffic.round_trips += 1
                if kind == _QUERY and b"COMMIT" in body:
                    traffic.commits.append(traffic.round_trips)
                if traffic.strike and traffic.strike.is_meant(traffic.round_trips, said, body):
                    strike, traffic.strike = traffic.strike, None
            if strike and not strike.delivers:
                await struck(strike)
                return
            if strike:
                answers.clear()
            if strike or held:
                heard.clear()
            writer.write(head + body)
            await writer.drain()
            if strike or held:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_WORKS_WITHIN_S):
                        await heard.wait()  # what PostgreSQL answers, it has done
            if held:
                held.reached.set()
            if strike:
                await struck(strike)
                return


async def _backend(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answers: asyncio.Event,
    heard: asyncio.Event,
    backend: asyncio.Future[int],
) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(writer))
        stack.enter_context(contextlib.suppress(ConnectionError))
        stack.callback(heard.set)  # also where there is no answer, for its connection has ended
        while data := await reader.read(65536):
            heard.set()
            if not backend.done() and _KEY_DATA in data:
                backend.set_result(struct.unpack("!I", data.split(_KEY_DATA)[1][:4])[0])
            await answers.wait()
            writer.write(data)
            await writer.drain()
