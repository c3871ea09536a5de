"""The wire tells what it has done to connections."""

import asyncio
from contextlib import AsyncExitStack

from faults.wire import wired


async def _say_it_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(100):
        writer.write(part)
    writer.close()


async def test_it_counts_what_it_has_cut_half_closed_or_delayed() -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(await asyncio.start_server(_say_it_again, "127.0.0.1", 0))
        wire = await stack.enter_async_context(wired("127.0.0.1", server.sockets[0].getsockname()[1]))
        assert (wire.cut(), wire.half_close(), wire.delayed) == (0, 0, 0)
        wire.delay_s = 0.001
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        assert wire.delayed == 2
        assert (wire.half_close(), await reader.read()) == (1, b"")
        assert wire.cut() == 1
        writer.close()
