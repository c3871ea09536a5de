"""One fault, from a fresh copy of the installation to its figures."""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faults.asking import asking
from faults.deployment import deployed
from faults.disk import own_disk
from faults.fault import Fault
from faults.installation import Installation, Tenant
from faults.journal import read_journal
from faults.judge import Row, Verdict, judge
from faults.latency import NOTICED_S, WINDOW_S, back_after_s, p99_s, slow_from_s
from faults.stage import Stage
from leasehold.tenancy.names import quoted

_WARM_S = 1.0
_ERROR = re.compile(r'"event": ?"(request_failed|[a-z_]*crashed)"|Traceback|panicked')
_MOST_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one fault."""

    fault: Fault
    verdict: Verdict
    harm_s: float
    quiet_p99_ms: float
    harm_p99_s: float
    """The 99th percentile of what was due during the harm."""
    served_after_s: float | None
    """How long after the harm every request was answered well again; None for not at all."""
    back_after_s: float | None
    """How long after it they were also as fast as before; None for not as long as anybody looked."""
    left_processes: int
    left_connections: int
    left_files: int
    badly_ended: int
    """Processes that were told to stop, and did not end well."""
    restarts: int
    struck: int = 0
    """How often the harm has met something, where it counts that."""
    notes: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    words: str = ""
    """What processes printed as errors, where something is broken."""

    def _figure(self, name: str) -> int:
        return getattr(self if name in {"restarts", "struck"} else self.verdict, name)

    @property
    def broken(self) -> dict[str, int]:
        """Everything that was promised and not held."""
        left = {
            "processes left": self.left_processes,
            "connections left": self.left_connections,
            "files left": self.left_files,
            "ended badly": self.badly_ended,
            "never served again": int(self.served_after_s is None),
            "demands not met": len(self.notes),
            "harm not seen": int(not self._figure(self.fault.shown_by)),
        }
        if self.fault.is_unnoticed:
            left["noticed"] = self.verdict.refused + self.verdict.limited + self.verdict.cut
            left["noticed by its time"] = int(self.harm_p99_s > NOTICED_S)
        return self.verdict.broken | {name: count for name, count in left.items() if count}


async def try_fault(fault: Fault, installation: Installation, *, is_short: bool, keep: Path | None = None) -> Outcome:
    """Do a fault to a copy of the installation under load, and return what came of it.

    The journal and what processes have printed are kept in a folder if one is named.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leasehold-fault-")))
        disk = folder / "postgres"
        disk.mkdir(mode=0o700)
        stack.enter_context(own_disk(disk, mib=fault.disk_mib))
        cluster = installation.template.copy_to(disk, parameters=fault.parameters)
        stack.callback(cluster.kill)
        await asyncio.to_thread(cluster.start)
        if keep is not None:
            stack.callback(_keep, folder, keep / fault.name)
        stage = Stage(folder, cluster, installation, is_short)
        url = installation.environment["LEASEHOLD_DATABASE_URL"]
        changes = await stack.enter_async_context(fault.route(url, stage))
        environment = {**installation.environment, **fault.settings, **changes}
        stage.deployment = await stack.enter_async_context(deployed(environment, folder, workers=fault.workers))
        journal, harmed_from, harmed_until = stage.journal, 0.0, 0.0
        async with asking(stage) as begun:
            await asyncio.sleep(stage.lasts(short_s=2.5, long_s=10))
            harmed_from = time.monotonic()
            await fault.harm(stage)
            harmed_until = time.monotonic()
            quiet_s = p99_s(read_journal(journal), begins=begun + _WARM_S, ends=harmed_from - 0.2)
            await _until_back(journal, quiet_s, harmed_until, within_s=stage.lasts(short_s=10, long_s=60))
        entries = read_journal(journal)
        await stage.cluster.serves()
        wrong = [wrong for demand in stage.demands if (wrong := await demand()) is not None]
        tables = await _tables(stage, installation.tenants)
        await stage.deployment.stop()
        for end in stage.afterwards:
            await end()
        outcome = Outcome(
            fault=fault,
            verdict=judge(entries, tables),
            harm_s=harmed_until - harmed_from,
            quiet_p99_ms=quiet_s * 1000,
            harm_p99_s=p99_s(entries, begins=harmed_from, ends=harmed_until),
            served_after_s=back_after_s(entries, harmed_until=harmed_until),
            back_after_s=back_after_s(entries, harmed_until=harmed_until, within_s=slow_from_s(quiet_s)),
            left_processes=sum(len(one.left()) for one in stage.deployment.processes),
            left_connections=await _connections(stage),
            left_files=sum(1 for _ in stage.deployment.temporary.rglob("*")),
            badly_ended=sum(status != 0 for status in stage.deployment.statuses),
            restarts=sum(one.restarts for one in stage.deployment.processes),
            struck=stage.struck,
            notes=tuple(wrong),
            found=tuple(stage.found),
        )
        return replace(outcome, words=_complaints(stage)) if outcome.broken else outcome


def _keep(folder: Path, where: Path) -> None:
    where.mkdir(parents=True, exist_ok=True)
    for file in (folder / "journal", *folder.glob("*.log"), *(folder / "postgres").glob("*.log")):
        if file.exists():
            shutil.copy(file, where)


def _complaints(stage: Stage) -> str:
    lines = [line for line in stage.deployment.log().splitlines() if _ERROR.search(line)]
    return "\n".join(lines)[:_MOST_WORDS]


async def _until_back(journal: Path, quiet_s: float, harmed_until: float, *, within_s: float) -> None:
    """Wait until all has been as before for a second, or for as long as anybody waits for that."""
    deadline = time.monotonic() + within_s
    # Who is asked for from now on is noted from now on; to read all of a flood again and again would take a processor.
    behind = journal.stat().st_size
    while time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        back = back_after_s(
            read_journal(journal, behind=behind), harmed_until=harmed_until, within_s=slow_from_s(quiet_s)
        )
        if back is not None and time.monotonic() - harmed_until > back + 2 * WINDOW_S:
            return


async def _tables(stage: Stage, tenants: Sequence[Tenant]) -> Mapping[str, list[Row]]:
    connection = await stage.admin()
    try:
        return {
            tenant.slug: [
                Row(row["title"], row["description"])
                for row in await connection.fetch(f"SELECT title, description FROM {quoted(tenant.schema)}.items")
            ]
            for tenant in tenants
        }
    finally:
        await connection.close()


async def _connections(stage: Stage) -> int:
    """Return how many connections are left ten seconds after everything has ended, and note what they did last."""
    left: list[Any] = []
    for _ in range(100):
        left = await stage.backends()
        if not left:
            break
        await asyncio.sleep(0.1)
    stage.found += [f"left over: {one['application_name']}, {one['state']}, {one['query'][:60]!r}" for one in left]
    return len(left)
