"""The workers of the queues that are compared, each a process on the core for what is measured."""

import os
import signal
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.installation import Installation, clean_environment
from benchmarks.machine import family, pinned
from benchmarks.peers import ROOT
from benchmarks.queues import Queue

_STOP_WITHIN_S = 30.0


class NotWorking(RuntimeError):
    """The worker {name} has ended, or does not run what it is asked for; the end of its output: {output}"""

    def __init__(self, name: str, log: Path) -> None:
        super().__init__((self.__doc__ or "").format(name=name, output=log.read_text(errors="replace")[-2000:]))


@dataclass(slots=True)
class Worker:
    """A worker, and what its jobs have written down."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stamps: Path

    @property
    def pids(self) -> list[int]:
        """Return its processes."""
        return family(self.process.pid)

    def started_at(self) -> dict[int, int]:
        """Return when each job started, by its number, in nanoseconds of the machine's monotonic clock.

        A job that was called twice started when it was first called.
        """
        found: dict[int, int] = {}
        for line in self.stamps.read_text().splitlines():
            number, _, started = line.partition(" ")
            found.setdefault(int(number), int(started))
        return found

    def demand_alive(self) -> None:
        """Pass if it has not ended.

        Raises:
            NotWorking: it has.
        """
        if self.process.poll() is not None:
            raise NotWorking(self.name, self.log)


@contextmanager
def working(
    queues: Sequence[Queue], installed: Installation, *, folder: Path, cores: set[int], batch: int, tenants: int
) -> Generator[dict[str, Worker]]:
    """Start the worker of each queue, and yield them by the names of the queues."""
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for queue in queues:
            if queue.worker not in workers:
                command = queue.command(batch, tenants)
                workers[queue.worker] = _start(queue, command, installed, folder=folder, cores=cores)
                stack.callback(_stop, workers[queue.worker].process)
        yield {queue.name: workers[queue.worker] for queue in queues}


def _start(queue: Queue, command: list[str], installed: Installation, *, folder: Path, cores: set[int]) -> Worker:
    log, stamps = folder / f"{queue.worker}.log", folder / f"{queue.worker}.stamps"
    stamps.touch()
    url = installed.owner_url if queue.needs_environment else installed.app_url
    ours = {"BENCH_DATABASE_URL": url, "BENCH_STAMPS": str(stamps), **installed.settings, **queue.environment}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment() | ours,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=pinned(cores),
        )
    return Worker(queue.worker, process, log, stamps)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WITHIN_S
    try:
        process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
