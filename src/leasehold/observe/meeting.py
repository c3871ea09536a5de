"""How the processes of one server tell their figures to the one that started them: by a socket of each in one folder.

Nobody else may open that folder. A process is asked when Prometheus asks, and answers from its event loop; so nothing
is written anywhere while nobody looks, and figures need no lock.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from leasehold.core.figures import Family
from leasehold.core.figures.tenants import TenantTotal
from leasehold.observe.process import families_of, tenants_of
from leasehold.platform.figures.service import InstallationFigures
from leasehold.process import Process

OWN = b"own\n"
"""Asks for the figures of a process."""
INSTALLATION = b"installation\n"
"""Asks for those of the whole installation, which any process can find out."""
SUFFIX = ".sock"

_ASKED_WITHIN_S = 5.0


class Told(Struct, array_like=True):
    """The answer of a process."""

    process: str
    families: list[Family]
    tenants: list[TenantTotal]


@asynccontextmanager
async def telling(process: Process, folder: Path) -> AsyncGenerator[None]:
    """Answer whoever asks at a socket in a folder, while this lasts."""
    name = f"{os.getpid()}"
    of_all = InstallationFigures(process.database, head=process.window.head, vacancies=process.settings.vacancies)

    async def told(asked: bytes) -> Told:
        if asked == INSTALLATION:
            return Told(name, await of_all.families(), [])
        return Told(name, families_of(process), tenants_of(process))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ASKED_WITHIN_S):
                writer.write(msgspec.msgpack.encode(await told(await reader.readline())))
                await writer.drain()
        writer.close()

    path = folder / f"{name}{SUFFIX}"
    server = await asyncio.start_unix_server(answer, path)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)
