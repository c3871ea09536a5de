"""A TCP line to PostgreSQL that can be cut and mended."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from leasehold.config import Settings


@dataclass
class Line:
    """What passes between a client and its server."""

    settings: Settings
    """Settings of which the direct URL leads over this line."""
    is_cut: bool = False
    writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    def cut(self) -> None:
        """End all connections, and refuse new ones until it is mended."""
        self.is_cut = True
        for writer in self.writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections be made again."""
        self.is_cut = False


@asynccontextmanager
async def line_to(settings: Settings) -> AsyncGenerator[Line]:
    """Lay a line to the server of these settings."""
    parts = urlsplit(settings.database_url.get_secret_value())
    line = Line(settings)
    pumps: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if line.is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(parts.hostname, parts.port)
        line.writers |= {writer, far_writer}
        pumps.update((asyncio.create_task(pump(reader, far_writer)), asyncio.create_task(pump(far_reader, writer))))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"{parts.username}:{parts.password}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    line.settings = settings.model_copy(update={"direct_url": SecretStr(parts._replace(netloc=address).geturl())})
    try:
        yield line
    finally:
        server.close()
        line.cut()
        await asyncio.gather(*pumps, return_exceptions=True)
