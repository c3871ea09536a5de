"""A process that is started anew whenever it ends, as a service manager does, until it is told to stop."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.integration.cli.shell import PROJECT, members_of

_AGAIN_S = 0.5
_STOP_S = 45.0


class Supervised:
    """`python -m MODULE ARGUMENTS` in a session of its own; what it prints is kept in a file."""

    def __init__(self, *command: str, environment: Mapping[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, dict(environment), log
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._sessions: list[int] = []
        self._is_to_stop = False
        self.restarts = 0

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, and keep it running."""
        await self._launch()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> int | None:
        """Tell it to end, and return its status; whatever does not end is killed, and the status is None."""
        self._is_to_stop = True
        status = None
        try:
            if self._process is not None:
                with suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGTERM)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_STOP_S):
                        status = await self._process.wait()
        finally:
            if self._keeper is not None:
                self._keeper.cancel()
        return status

    def left(self) -> list[int]:
        """Return what lives of it and of those that it started."""
        return [pid for session in self._sessions for pid in members_of(session)]

    def sweep(self) -> None:
        """Kill whatever is left."""
        for session in self._sessions:
            for pid in members_of(session):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def send(self, number: signal.Signals, *, whole: bool = False) -> None:
        """Send a signal to the process, or to all of its session."""
        for pid in members_of(self.pid) if whole else [self.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def _launch(self) -> None:
        inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self._command,
                env=inherited | self._environment,
                cwd=PROJECT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._sessions.append(self._process.pid)

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            await self._process.wait()
            if self._is_to_stop:
                return
            await asyncio.sleep(_AGAIN_S)
            self.restarts += 1
            await self._launch()
