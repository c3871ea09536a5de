"""Asks the processes of a server for their figures, and adds them up."""

import socket
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from leasehold.core.figures import Combine, Family, TenantFigures, combined
from leasehold.observe.meeting import INSTALLATION, OWN, SUFFIX, Told

_TIMEOUT_S = 3.0


class Gathering:
    """All processes that tell their figures in one folder. Any thread may ask."""

    def __init__(self, folder: Path, *, processes: int, tenants: int) -> None:
        self._folder = folder
        self._processes = processes
        self._tenants = TenantFigures(series=tenants)
        self._lock = threading.Lock()

    def families(self) -> list[Family]:
        """Return the figures of all processes together, and of the installation."""
        with self._lock:
            sockets = sorted(self._folder.glob(f"*{SUFFIX}"))
            answering = _asked(sockets, OWN)
            answers = list(answering.values())
            for told in answers:
                self._tenants.take(told.process, told.tenants)
            return [
                *combined(family for told in answers for family in told.families),
                *self._tenants.families(),
                *_of_installation(answering),
                Family.number("leasehold_processes", "Processes of the server that tell their figures", len(answers)),
                Family.number(
                    "leasehold_processes_wanted",
                    "Processes that the server was started with",
                    self._processes,
                    combine=Combine.LARGEST,
                ),
            ]


def _of_installation(sockets: Iterable[Path]) -> list[Family]:
    """Return what the first process says that can say anything."""
    for path in sockets:
        told = _ask(path, INSTALLATION)
        if told is not None and told.families:
            return told.families
    return []


def _asked(sockets: Sequence[Path], question: bytes) -> dict[Path, Told]:
    """Return what the processes answer that do."""
    if not sockets:
        return {}
    # At once: one that hangs must not use up the patience of who asks us.
    with ThreadPoolExecutor(len(sockets), thread_name_prefix="figures") as threads:
        answers = threads.map(partial(_ask, question=question), sockets)
        return {path: told for path, told in zip(sockets, answers, strict=True) if told}


def _ask(path: Path, question: bytes) -> Told | None:
    """Return what a process answers, None from one that is gone or hangs."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_TIMEOUT_S)
            line.connect(str(path))
            line.sendall(question)
            with line.makefile("rb") as answer:
                return msgspec.msgpack.decode(answer.read(), type=Told)
    except (OSError, msgspec.DecodeError):
        return None
