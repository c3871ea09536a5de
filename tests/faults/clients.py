"""Clients that speak HTTP by hand, and so can do what no library lets them: dawdle, fall silent, leave halfway."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec

WITHIN_S = 60
_SMALL_BUFFER = 4096
_OPEN = ("01", "08")
"""Established, and closed by the client alone."""


class Client:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, part: bytes) -> None:
        """Send some bytes."""
        self._writer.write(part)
        await self._writer.drain()

    async def dawdle(self, part: bytes, *, pause_s: float = 0.1) -> None:
        """Send byte by byte, until the server has had enough or all is sent."""
        try:
            for byte in part:
                await self.send(bytes([byte]))
                await asyncio.sleep(pause_s)
                if self._reader.at_eof():
                    return
        except OSError:
            return

    def end(self) -> None:
        """Close the half of the connection on which the client sends."""
        self._writer.write_eof()

    def leave(self) -> None:
        """Break the connection off."""
        self._writer.transport.abort()

    async def head(self) -> str:
        """Return the head of the answer."""
        async with asyncio.timeout(WITHIN_S):
            return (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def some(self) -> bytes:
        """Return the next few bytes of the answer, none if nothing comes within a moment."""
        try:
            async with asyncio.timeout(0.05):
                return await self._reader.read(_SMALL_BUFFER)
        except TimeoutError:
            return b""

    async def rest(self) -> bytes:
        """Return what comes until the server closes the connection, or breaks it off."""
        found = b""
        async with asyncio.timeout(WITHIN_S):
            try:
                while part := await self._reader.read(2**16):
                    found += part
            except OSError:
                pass
        return found

    async def refusal(self) -> tuple[int, str]:
        """Return the status of the answer and the type of its problem, once the server has closed the connection."""
        head, _, body = (await self.rest()).partition(b"\r\n\r\n")
        return int(head.split()[1]), msgspec.json.decode(body)["type"].rpartition("/")[2] if body else ""


@asynccontextmanager
async def connected(address: str, *, count: int = 1, small: bool = False) -> AsyncGenerator[list[Client]]:
    """Open so many connections, and break them off at the end; small ones take only a few kibibytes of an answer."""
    url = httpx.URL(address)
    clients: list[Client] = []
    try:
        for _ in range(count):
            sock = socket.socket()
            sock.setblocking(False)
            if small:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
            await asyncio.get_running_loop().sock_connect(sock, (url.host, url.port))
            clients.append(Client(*await asyncio.open_connection(sock=sock, limit=_SMALL_BUFFER if small else 2**16)))
        yield clients
    finally:
        for client in clients:
            client.leave()


def accepted(address: str) -> int:
    """Return how many connections the server has accepted and not closed yet, as Linux tells it (proc_net_tcp(5))."""
    port = httpx.URL(address).port
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{port:04X}") and line[3] in _OPEN for line in lines)


def head_of(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request as it is sent."""
    named = {"Host": "127.0.0.1", **headers}
    return "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{name}: {named[name]}" for name in named), "", ""]).encode()
