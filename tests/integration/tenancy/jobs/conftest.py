"""A queue that is empty at the beginning of each test and at its end, and connections to it."""

import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.queue import JobQueue
from tests.factories import provisioned
from tests.integration.tenancy.jobs.chores import Hand
from tests.queued import empty_queue

Hire = Callable[[], Awaitable[Hand]]


@pytest.fixture
async def app_connection(settings: Settings) -> AsyncGenerator[DriverConnection]:
    """A connection of the login of the app, to an empty queue without workers and without periodic tasks."""
    connection: DriverConnection = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
    await empty_queue(connection)
    yield connection
    await empty_queue(connection)
    await connection.close()


@pytest.fixture
async def hire(settings: Settings, app_connection: DriverConnection) -> AsyncGenerator[Hire]:
    """Makes workers known to the queue, each on a connection of its own."""
    async with AsyncExitStack() as stack:

        async def make() -> Hand:
            connection: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
            stack.push_async_callback(connection.close)
            hand_id = new_id()
            queue = JobQueue(connection, hand_id)
            await queue.register(host=socket.gethostname(), pid=os.getpid())
            return Hand(hand_id, queue, connection)

        yield make


@pytest.fixture
async def hand(hire: Hire) -> Hand:
    """A worker."""
    return await hire()


@pytest.fixture
async def other(hire: Hire) -> Hand:
    """Another worker."""
    return await hire()


@pytest.fixture(scope="session")
async def five(process: Process) -> list[TenantRef]:
    """Five tenants, whose state no test changes."""
    return [await provisioned(process) for _ in range(5)]
