"""Connections that PostgreSQL ends: any of them, all that there may be, and the one that tells of changes."""

import asyncio
import random
import time
from contextlib import AsyncExitStack, suppress

import asyncpg

from faults.fault import Fault
from faults.installation import DATABASE
from faults.stage import Stage
from leasehold.tenancy.feed import APPLICATION_NAME

_SEED = 11


async def _terminate_at_random(stage: Stage) -> None:
    dice, ends = random.Random(_SEED), time.monotonic() + stage.lasts(short_s=2, long_s=20)
    connection = await stage.admin()
    try:
        while time.monotonic() < ends:
            there = await stage.backends_by(connection)
            if victims := [one for one in there if one["state"] != "idle"] or dice.choices(there, k=len(there) > 0):
                await connection.fetch("SELECT pg_terminate_backend($1)", dice.choice(victims)["pid"])
            await asyncio.sleep(dice.uniform(0, 0.05))
    finally:
        await connection.close()


async def _cut_feeds(stage: Stage) -> None:
    ends = time.monotonic() + stage.lasts(short_s=2, long_s=20)
    connection = await stage.admin()
    try:
        while time.monotonic() < ends:
            ended = await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", APPLICATION_NAME
            )
            stage.struck += len(ended)
            await asyncio.sleep(0.5)
    finally:
        await connection.close()


async def _take_all(stage: Stage) -> None:
    """Take every connection that there is, and those of the app the moment it loses them."""
    async with AsyncExitStack() as stack:
        admin = await stage.admin()
        stack.push_async_callback(admin.close)
        await _take(stage, stack)
        ends = time.monotonic() + stage.lasts(short_s=3, long_s=20)
        while time.monotonic() < ends:
            for row in await stage.backends_by(admin):
                await admin.fetch("SELECT pg_terminate_backend($1)", row["pid"])
            await _take(stage, stack)
            await asyncio.sleep(0.1)


async def _take(stage: Stage, stack: AsyncExitStack) -> None:
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            held = await stage.cluster.connect(DATABASE)
            stack.push_async_callback(held.close)


FAULTS = (
    Fault(
        "backends-terminated",
        "A read is done again on another connection; a write whose connection is lost is answered 503.",
        _terminate_at_random,
        shown_by="refused",
    ),
    Fault(
        "listen-cut",
        "No request notices: the directory is read anew, and credentials are looked up again.",
        _cut_feeds,
        shown_by="struck",
        is_unnoticed=True,
    ),
    Fault(
        "out-of-connections",
        "Requests that get no connection are answered 503 with Retry-After within LEASEHOLD_POOL_TIMEOUT_S.",
        _take_all,
        parameters={"max_connections": "80"},
        shown_by="refused",
    ),
)
