"""The wall clock of the machine on which the processes run: it jumps, and PostgreSQL's does not."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from faults.fault import Fault
from faults.stage import Stage

_INJECTED = Path(__file__).parents[1] / "injected"
_JUMPS = ("3600", "-3600", "0")
"""Seconds from the right time."""


@asynccontextmanager
async def _on_a_clock(_url: str, stage: Stage) -> AsyncGenerator[Mapping[str, str]]:
    _set(stage, "0")
    paths = [str(_INJECTED), os.environ.get("PYTHONPATH", "")]
    yield {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "FAULTS_CLOCK": str(stage.folder / "clock")}


def _set(stage: Stage, offset: str) -> None:
    unfinished = stage.folder / "clock.unfinished"
    unfinished.write_text(offset)
    unfinished.replace(stage.folder / "clock")


async def _jump(stage: Stage) -> None:
    for offset in _JUMPS:
        _set(stage, offset)
        await asyncio.sleep(stage.lasts(short_s=2.5, long_s=10))


FAULTS = (
    Fault(
        "clock-jumps",
        "An hour on, back, and right again: who is told that a token is over gets another; nobody else notices.",
        _jump,
        route=_on_a_clock,
        shown_by="renewed",
        is_unnoticed=True,
    ),
)
