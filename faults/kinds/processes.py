"""The processes of Leasehold, killed in the midst of what they do."""

import asyncio
import signal

from faults.fault import Fault
from faults.stage import Stage


async def _kill_server(stage: Stage) -> None:
    for turn in range(round(stage.lasts(short_s=1, long_s=4))):
        victim = turn % len(stage.deployment.servers)
        stage.deployment.servers[victim].send(signal.SIGKILL, whole=True)
        await asyncio.sleep(0.3)
        await stage.deployment.balancer.until_ready(*stage.deployment.addresses)


FAULTS = (
    Fault(
        "server-killed",
        "Requests under way on it are cut off, and nobody is told a success that was none; the others go on.",
        _kill_server,
        is_in_short_form=True,
    ),
)
