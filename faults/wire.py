"""A wire between processes and PostgreSQL that can be made to fail: slow, cut, half-closed, or silent."""

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

_SO_ATTACH_FILTER = 26
# A program of one instruction for the kernel's socket filter (Linux's filter.rst): of no packet is anything kept.
_RETURN_NOTHING = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
_DROP_ALL = struct.pack("HL", 1, ctypes.addressof(_RETURN_NOTHING))


def no_silence() -> str | None:
    """Say why a wire cannot fall silent on this machine, None if it can."""
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _DROP_ALL)
        except OSError as error:
            return f"no filter can be put on a socket: {error}"
    return None


class Wire:
    """All connections that go through one port."""

    def __init__(self) -> None:
        self.port = 0
        self.delay_s = 0.0
        """By so much each part comes later, in each direction."""
        self.delayed = 0
        """How many parts came later."""
        self._silent: set[_Pair] = set()
        self._pairs: set[_Pair] = set()

    def cut(self) -> int:
        """Break off all connections that there are, and return how many."""
        pairs = list(self._pairs)
        for pair in pairs:
            pair.cut()
        return len(pairs)

    def half_close(self) -> int:
        """Let PostgreSQL's side of all connections end, of which processes are told by a FIN alone; return how many."""
        pairs = list(self._pairs)
        for pair in pairs:
            pair.half_close()
        return len(pairs)

    def fall_silent(self) -> None:
        """Hear nothing more on the connections that there are, and tell nobody; new ones work.

        As when a network is taken apart: not even the kernel confirms what is sent, for it is dropped as it arrives.
        """
        for pair in list(self._pairs):
            pair.fall_silent()

    async def serve(self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        try:
            there, back = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(self, writer, back)
        self._pairs.add(pair)
        try:
            await asyncio.gather(pair.carry(reader, back), pair.carry(there, writer))
        finally:
            self._pairs.discard(pair)
            pair.cut()


class _Pair:
    """The two connections of one."""

    def __init__(self, wire: Wire, front: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        self._is_silent = False
        self._wire, self._front, self._back = wire, front, back

    def cut(self) -> None:
        for writer in (self._front, self._back):
            writer.transport.abort()

    def fall_silent(self) -> None:
        self._is_silent = True
        for writer in (self._front, self._back):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _DROP_ALL)

    def half_close(self) -> None:
        with suppress(OSError, RuntimeError):
            self._front.write_eof()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what comes, in order, until one end leaves."""
        with suppress(OSError, RuntimeError):
            while part := await reader.read(2**16):
                if self._wire.delay_s:
                    self._wire.delayed += 1
                    await asyncio.sleep(self._wire.delay_s)
                writer.write(part)
                await writer.drain()
        if not self._is_silent:
            writer.close()


@asynccontextmanager
async def wired(host: str, port: int) -> AsyncGenerator[Wire]:
    """Lay a wire on a free port of 127.0.0.1 until the end of the block."""
    wire = Wire()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await wire.serve(host, port, reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        wire.cut()
