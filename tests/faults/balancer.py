"""A load balancer of the simplest kind: it hands each connection to one of the servers that say that they are ready.

It tries another only where a connection is refused, for then nothing was sent. What is lost otherwise stays lost. Where
none is ready it takes any, so that a client hears from a server and not from the balancer.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx

_PROBE_S = 0.1
_WITHIN_S = 60


class Balancer:
    """Where clients connect, and which servers they are sent to."""

    def __init__(self, servers: Sequence[str]) -> None:
        self.address = ""
        self.ready: list[str] = []
        self._servers = servers
        self._turn = 0

    async def until_ready(self, *servers: str) -> None:
        """Wait until the ready ones are these and no others."""
        async with asyncio.timeout(_WITHIN_S):
            while sorted(self.ready) != sorted(servers):
                await asyncio.sleep(_PROBE_S / 2)

    async def look(self) -> None:
        """Ask all servers, again and again, whether they are ready."""
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                self.ready = [server for server in self._servers if await _is_ready(client, server)]
                await asyncio.sleep(_PROBE_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client with a server until either leaves."""
        for _ in range(len(self._servers)):
            ready = self.ready or self._servers
            server = ready[self._turn % len(ready)]
            self._turn += 1
            try:
                there, back = await asyncio.open_connection("127.0.0.1", httpx.URL(server).port)
            except ConnectionRefusedError:
                continue
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
            return
        writer.close()


@asynccontextmanager
async def balancing(*servers: str) -> AsyncGenerator[Balancer]:
    """Balance load between servers until the end of the block."""
    balancer = Balancer(servers)
    async with AsyncExitStack() as stack:
        looking = asyncio.create_task(balancer.look())
        stack.callback(looking.cancel)
        listening = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
        stack.callback(listening.close)
        balancer.address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield balancer


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(2**16):
            writer.write(part)
            await writer.drain()
    writer.close()


async def _is_ready(client: httpx.AsyncClient, server: str) -> bool:
    try:
        return (await client.get(f"{server}/health/ready", headers={"Connection": "close"})).status_code == 200
    except httpx.TransportError:
        return False
