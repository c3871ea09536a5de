"""A client in a process of its own, which asks until the end of a block."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from faults.client import Plan
from faults.stage import Stage
from faults.supervised import Supervised

RATE = 12.0
"""Requests of each tenant in a second."""


class ClientFailed(RuntimeError):
    """The client that asks has ended with {status}: {words}"""

    def __init__(self, status: int | None, words: str) -> None:
        super().__init__((self.__doc__ or "").format(status=status, words=words))


@asynccontextmanager
async def asking(stage: Stage, client_module: str = "client", *, connections: int = 0) -> AsyncGenerator[float]:
    """Let a client ask for all tenants until the end of the block, and yield the moment in which it began."""
    plan, log = stage.folder / f"{client_module}.json", stage.folder / f"{client_module}.log"
    address, tenants = stage.deployment.balancer.address, list(stage.installation.tenants)
    plan.write_bytes(msgspec.json.encode(Plan(address, tenants, RATE, connections)))
    log.write_bytes(b"")  # what an earlier one has said does not tell that this one asks
    client = Supervised(f"faults.{client_module}", str(plan), str(stage.journal), environment={}, log=log)
    await client.start()
    try:
        async with asyncio.timeout(60):
            while not log.stat().st_size:
                await asyncio.sleep(0.02)
        yield time.monotonic()
    finally:
        status = await client.stop()
        client.sweep()
    if status != 0 or client.restarts:
        raise ClientFailed(status, log.read_text()[-500:])
