"""The network between the processes and PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from faults.fault import Fault
from faults.stage import Stage
from faults.wire import no_silence, wired


@asynccontextmanager
async def _through_a_wire(url: str, stage: Stage) -> AsyncGenerator[Mapping[str, str]]:
    parts = urlsplit(url)
    async with wired("127.0.0.1", stage.cluster.port) as wire:
        stage.wire = wire

        async def end() -> None:
            wire.cut()

        stage.afterwards.append(end)  # else PostgreSQL keeps what nobody has told it of
        rewired = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{wire.port}").geturl()
        yield {"LEASEHOLD_DATABASE_URL": rewired, "LEASEHOLD_DIRECT_URL": rewired}


async def _delay(stage: Stage) -> None:
    # As to the next region. A write goes to and fro some ten times: with 50 ms it would keep its connection for a
    # second, and there are fewer connections than writes in a second.
    stage.wire.delay_s = 0.01
    await asyncio.sleep(stage.lasts(short_s=2, long_s=20))
    stage.wire.delay_s = 0
    stage.struck = stage.wire.delayed


async def _cut(stage: Stage) -> None:
    for _ in range(round(stage.lasts(short_s=4, long_s=40))):
        stage.struck += stage.wire.cut()
        await asyncio.sleep(0.5)


async def _half_close(stage: Stage) -> None:
    for _ in range(round(stage.lasts(short_s=2, long_s=20))):
        stage.struck += stage.wire.half_close()
        await asyncio.sleep(0.5)


async def _fall_silent(stage: Stage) -> None:
    stage.wire.fall_silent()


FAULTS = (
    Fault(
        "network-slow",
        "With 10 ms more each way requests take longer, and none fails.",
        _delay,
        shown_by="struck",
        route=_through_a_wire,
        is_unnoticed=True,
    ),
    Fault(
        "network-cut",
        "As when backends are terminated: reads are done again, writes are answered 503.",
        _cut,
        shown_by="struck",
        route=_through_a_wire,
    ),
    Fault(
        "network-half-closed",
        "As when it is cut.",
        _half_close,
        shown_by="struck",
        route=_through_a_wire,
    ),
    Fault(
        "network-silent",
        "Connections on which nothing comes any more are given up; their requests, and who waits, get 503 or 429.",
        _fall_silent,
        why_not=no_silence,
        # As the guide wants it of PostgreSQL, but sooner: its own patience with who is gone is two hours.
        parameters={"tcp_keepalives_idle": "2", "tcp_keepalives_interval": "1", "tcp_user_timeout": "5000"},
        route=_through_a_wire,
        shown_by="refused",
    ),
)
