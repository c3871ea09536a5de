"""Workers and an asker that faults are done to, and what came of the errands in the end."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.tenancy.names import quoted
from tests.faults.errand_asker import KINDS
from tests.faults.errands import FOLDER, Errand, touch
from tests.integration.cli.shell import PROJECT

_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")
_WITHIN_S = 120
_ASKED_WITHIN_S = 300
_KILLED, _REFUSED, _ENDED_WELL = -signal.SIGKILL, 2, 0
_A_BACKEND = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'lh_app'
 ORDER BY state = 'idle', random() LIMIT 1
"""
_WORKERS = "SELECT pid FROM platform.job_workers"
_AT_WORK = """
SELECT DISTINCT w.pid FROM platform.jobs j JOIN platform.job_workers w ON w.id = j.worker_id WHERE j.state = 'running'
"""


@dataclass(slots=True)
class Crew:
    """Processes on one installation. Whoever ends is started anew, as a supervisor would."""

    settings: Settings
    folder: Path
    processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict[int, asyncio.subprocess.Process])
    starts: int = 0
    ends: Counter[int] = field(default_factory=Counter[int])
    """How often a worker ended with which status."""

    @property
    def errands(self) -> Path:
        """The folder of the files that errands touch."""
        return self.folder / "errands"

    @asynccontextmanager
    async def working(self, workers: int) -> AsyncGenerator[None]:
        """Keep so many workers at work; at the end they are told to end, and must do so well."""
        self.errands.mkdir()
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(place)) for place in range(workers)]
            try:
                yield
                await self._all_there()
                for keeper in keepers:
                    keeper.cancel()
                for process in self.processes.values():
                    process.terminate()
                async with asyncio.timeout(_WITHIN_S):
                    assert [await process.wait() for process in self.processes.values()] == [_ENDED_WELL] * workers
            finally:
                for keeper in keepers:
                    keeper.cancel()
                for process in self.processes.values():
                    await _kill(process)

    async def until_at_work(self) -> None:
        """Wait until a worker runs jobs."""
        await self._at_work(random.Random())

    async def kill_a_worker(self, dice: random.Random) -> None:
        """Let a worker that runs jobs end at once."""
        (await self._at_work(dice)).kill()

    async def stop_a_worker(self, dice: random.Random) -> None:
        """Let a worker that runs jobs stand still until it was taken for dead, and wake it up."""
        worker = await self._at_work(dice)
        worker.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(_WITHIN_S):
            while worker.pid in [row["pid"] for row in await self.fetch(_WORKERS)]:
                await asyncio.sleep(0.05)
        worker.send_signal(signal.SIGCONT)

    async def kill_a_backend(self) -> None:
        """Let a backend of the server end, in the midst of something if there is one; all others end by that too."""
        async with asyncio.timeout(_WITHIN_S):
            while True:
                for row in await self.fetch(_A_BACKEND):
                    with suppress(ProcessLookupError):  # it may have ended since
                        os.kill(row["pid"], signal.SIGKILL)
                        return
                await asyncio.sleep(0.02)

    async def ask(self, *, first: int, wanted: int, seed: int) -> "Journal":
        """Let a process ask for errands, and kill it when it has a transaction open that it will not commit."""
        path = self.folder / f"asked-{first}"
        arguments = [str(first), str(wanted), str(seed)]
        process = await self._start("errand_asker", *arguments, output=path)
        try:
            async with asyncio.timeout(_ASKED_WITHIN_S):
                while "hanging" not in (told := path.read_text()):
                    if process.returncode is not None:
                        assert (process.returncode, told) == (_REFUSED, ""), self.complaints
                        process = await self._start("errand_asker", *arguments, output=path)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"it has not asked for all: {path.read_text()}\n{self.complaints}")
        finally:
            await _kill(process)
        return Journal.read(path)

    async def fetch(self, sql: str) -> list[Any]:
        """Ask the database as its owner; it may just be recovering from a crash."""
        assert self.settings.owner_url is not None
        url = driver_url(self.settings.owner_url.get_secret_value())
        async with asyncio.timeout(_WITHIN_S):
            while True:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    owner: Any = await asyncpg.connect(url, timeout=10)
                    try:
                        return await owner.fetch(sql)
                    finally:
                        owner.terminate()
                await asyncio.sleep(0.05)

    @property
    def complaints(self) -> str:
        """What processes have printed as errors."""
        return (self.folder / "complaints").read_text()

    async def _all_there(self) -> None:
        """Wait until each worker has started: before, a signal ends it as it would end any program."""
        async with asyncio.timeout(_WITHIN_S):
            while not {one.pid for one in self.processes.values()} <= {
                row["pid"] for row in await self.fetch(_WORKERS)
            }:
                await asyncio.sleep(0.05)

    async def _at_work(self, dice: random.Random) -> asyncio.subprocess.Process:
        """Wait until a worker runs jobs, and return it."""
        async with asyncio.timeout(_WITHIN_S):
            while True:
                pids = [row["pid"] for row in await self.fetch(_AT_WORK)]
                if alive := [one for one in self.processes.values() if one.returncode is None and one.pid in pids]:
                    return dice.choice(alive)
                await asyncio.sleep(0.02)

    async def _keep(self, place: int) -> None:
        while True:
            process = await self._start("errand_worker", output=self.folder / "log")
            self.starts += 1
            self.processes[place] = process
            status = await process.wait()
            self.ends[status] += 1
            # One that finds no database refuses, and says so; it must not end for any other reason.
            assert status in {_KILLED, _REFUSED}, self.complaints
            if status == _REFUSED:
                await asyncio.sleep(0.2)

    async def _start(self, module: str, *arguments: str, output: Path) -> asyncio.subprocess.Process:
        with output.open("ab") as out, (self.folder / "complaints").open("ab") as complaints:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"tests.faults.{module}",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=complaints,
                env=self._environment,
                cwd=PROJECT,
            )

    @property
    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEASEHOLD_")}
        secrets = {f"LEASEHOLD_{name.upper()}": getattr(self.settings, name).get_secret_value() for name in _SECRETS}
        return {
            **inherited,
            **secrets,
            "LEASEHOLD_POOL_SIZE": "2",
            "LEASEHOLD_LOG_LEVEL": "warning",
            "LEASEHOLD_VACANCIES": "0",  # nobody is there whom nobody has made
            FOLDER: str(self.errands),
        }


@dataclass(frozen=True, slots=True)
class Journal:
    """What an asker has told, by what became of its transactions."""

    numbers: dict[str, set[int]]

    @classmethod
    def read(cls, path: Path) -> "Journal":
        numbers: dict[str, set[int]] = {"committed": set(), "rolled_back": set(), "lost": set(), "hanging": set()}
        for line in path.read_text().splitlines():
            fate, *told = line.split()
            numbers[fate].update(map(int, told))
        return cls(numbers)

    @property
    def next(self) -> int:
        """The number from which another may go on."""
        return max(number for numbers in self.numbers.values() for number in numbers) + 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the database and the folder hold when nothing is left to do. Effects are by tenant and title."""

    asked: frozenset[int]
    missing: list[tuple[str, str]]
    twice: list[tuple[str, str]]
    unasked: list[tuple[str, str]]
    called_again: int
    """How many files were touched more than once, which at least once allows."""


async def outcome_of(crew: Crew) -> Outcome:
    """Compare what was asked for in committed transactions with the effects that are there."""
    asked: set[int] = set()
    expected: set[tuple[str, str]] = set()
    found: Counter[tuple[str, str]] = Counter()
    for slug, schema in await crew.fetch("SELECT slug, schema_name FROM platform.tenants"):
        for (title,) in await crew.fetch(f"SELECT title FROM {quoted(schema)}.items"):
            what, whose, number = title.split()
            if what == "asked":
                asked.add(int(number))
                expected.add((_place_of(int(number), slug), Errand(int(number), whose).effect))
            else:
                found[slug, title] += 1
    files = list(_files(crew.errands))
    found.update(("file", name) for name, _ in files)
    return Outcome(
        frozenset(asked),
        missing=sorted(expected - found.keys()),
        twice=sorted(effect for effect, times in found.items() if times > 1),
        unasked=sorted(found.keys() - expected),
        called_again=sum(calls > 1 for _, calls in files),
    )


def _place_of(number: int, slug: str) -> str:
    return "file" if KINDS[number % 10] is touch else slug


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    for path in folder.iterdir():
        yield path.name, path.stat().st_size


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
