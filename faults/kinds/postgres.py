"""PostgreSQL itself: restarted in order, and killed."""

import asyncio

from faults.fault import Fault
from faults.stage import Stage


async def _restart(stage: Stage) -> None:
    for _ in range(round(stage.lasts(short_s=1, long_s=3))):
        await asyncio.to_thread(stage.cluster.stop, "fast")
        await asyncio.sleep(stage.lasts(short_s=0.5, long_s=3))
        await asyncio.to_thread(stage.cluster.start)


async def _kill(stage: Stage) -> None:
    for _ in range(round(stage.lasts(short_s=1, long_s=3))):
        await asyncio.to_thread(stage.cluster.kill)
        await asyncio.sleep(stage.lasts(short_s=0.5, long_s=3))
        await asyncio.to_thread(stage.cluster.start)


FAULTS = (
    Fault(
        "postgresql-restarted",
        "While it is away requests are answered 503 with Retry-After, and served again once it is back.",
        _restart,
        shown_by="refused",
    ),
    Fault(
        "postgresql-killed",
        "As when it is restarted; what was acknowledged is there after the recovery.",
        _kill,
        is_in_short_form=True,
        shown_by="refused",
    ),
)
