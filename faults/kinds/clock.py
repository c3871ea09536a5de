"""The clock of the machine on which the processes run: it jumps, and PostgreSQL's does not."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from faults.fault import Fault
from faults.stage import Stage

_LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib")
_JUMPS = ("+3600", "-3600", "+0")
"""Seconds from the right time."""


def _library() -> Path | None:
    return next(
        (file for folder in _LIBRARIES if (file := Path(folder) / "faketime/libfaketimeMT.so.1").exists()), None
    )


def _why_not() -> str | None:
    return None if _library() else "libfaketime is not installed (Debian: apt-get install faketime)"


@asynccontextmanager
async def _on_a_clock(_url: str, stage: Stage) -> AsyncGenerator[Mapping[str, str]]:
    _set(stage, "+0")
    yield {
        "LD_PRELOAD": str(_library()),
        "FAKETIME_TIMESTAMP_FILE": str(stage.folder / "clock"),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def _set(stage: Stage, offset: str) -> None:
    unfinished = stage.folder / "clock.unfinished"
    unfinished.write_text(f"{offset}\n")
    unfinished.replace(stage.folder / "clock")


async def _jump(stage: Stage) -> None:
    for offset in _JUMPS:
        _set(stage, offset)
        await asyncio.sleep(stage.lasts(short_s=2.5, long_s=10))


FAULTS = (
    Fault(
        "clock-jumps",
        "An hour on and back again: who is told that its token is over gets another; nothing is lost, and nobody is let in.",
        _jump,
        why_not=_why_not,
        route=_on_a_clock,
    ),
)
