"""What every job of the benchmark does, whoever runs it. Nothing but Python is needed here."""

import asyncio
import os
import time
from functools import cache

UNSEEN = -1
"""The number of a job that leaves no trace."""


async def work(number: int, ms: int) -> None:
    """Write down when the job started, if it has a number, and wait for some milliseconds."""
    if number != UNSEEN:
        os.write(_file(), f"{number} {time.monotonic_ns()}\n".encode())
    if ms:
        await asyncio.sleep(ms / 1000)


@cache
def _file() -> int:
    return os.open(os.environ["BENCH_STAMPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
