"""A client of HTTP/1.1 that costs little, so that the servers are what a hunt is slowed by.

It knows what the servers of a hunt answer with and no more: a length, or chunks.
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

_END = b"\r\n\r\n"
_CHUNKED = b"transfer-encoding: chunked"
_LENGTH = b"content-length: "
NO_HEADERS: Mapping[str, str] = {}


class Answer(NamedTuple):
    """What came back, head and body as they were sent."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header, None where it is missing."""
        _, found, rest = self.head.lower().partition(f"\r\n{name.lower()}: ".encode())
        place = len(self.head) - len(rest)
        return self.head[place:].partition(b"\r\n")[0].decode("latin-1") if found else None


class Cut(ConnectionError):
    """The server closed the connection before it had answered in whole."""


def written(method: str, path: str, host: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """Return a request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class Wire:
    """A connection to one server, opened when it is needed and again when it was cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer.

        Raises:
            Cut: the server was gone before it had answered in whole.
        """
        reader, writer = await self._opened()
        try:
            writer.write(request)
            head = await reader.readuntil(_END)
            body = await _body(reader, head.lower())
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise Cut from error
        except BaseException:
            self.close()
            raise
        return Answer(int(head[9:12]), head, body)

    async def leave(self, request: bytes, *, after_s: float) -> None:
        """Send a request and go away, whether it is answered by then or not."""
        _, writer = await self._opened()
        writer.write(request)
        await asyncio.sleep(after_s)
        writer.transport.abort()
        self._streams = None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    _, found, rest = head.partition(_LENGTH)
    if found:
        return await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    if _CHUNKED not in head:
        return b""
    parts: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)
