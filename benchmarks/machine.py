"""The machine: which core does what, and what CPU time and memory processes use (Linux's /proc)."""

import os
import platform
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def split_cores() -> tuple[set[int], set[int]]:
    """Return the core for the servers and the one for PostgreSQL and the load; all for both where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    return ({cores[0]}, {cores[1]}) if len(cores) > 1 else (set(cores), set(cores))


def pinned(cores: set[int]) -> Callable[[], None]:
    """Return what a child process calls before it becomes another program, to stay on some cores."""
    return lambda: os.sched_setaffinity(0, cores)


def pin(pids: list[int], cores: set[int]) -> None:
    """Keep running processes on some cores, with all their threads."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(folder.name)):
            children[int(fields[1])].append(int(folder.name))
    found = [pid]
    for member in found:
        found += children[member]
    return found


def parent_of(pid: int) -> int:
    """Return the process that started another."""
    fields = _stat(pid)
    if not fields:
        raise ProcessLookupError(pid)
    return int(fields[1])


def cpu_seconds(pids: list[int]) -> float:
    """Return the user and system time of processes, and of their children that have ended."""
    return sum(sum(map(int, fields[11:15])) * _TICK_S for pid in pids if (fields := _stat(pid)))


def proportional_mib(pid: int) -> float:
    """Return what a process holds; of pages that several have mapped, its share (Pss)."""
    return _held_mib(pid, "Pss:")


def anonymous_mib(pid: int) -> float:
    """Return what a process holds that is neither a file nor memory that was made to be shared (Pss_Anon).

    Not Private_Dirty: a page of shared_buffers counts as private there while only one process has touched it.
    """
    return _held_mib(pid, "Pss_Anon:")


def busy_seconds() -> float:
    """Return the CPU time of everything on the machine, what a hypervisor gave to others included."""
    user, nice, system, _, _, *interrupts_and_stolen = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    return sum(map(int, [user, nice, system, *interrupts_and_stolen])) * _TICK_S


def processor() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _held_mib(pid: int, field: str) -> float:
    """Return one line of /proc/<pid>/smaps_rollup, 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the third on (state), none if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
