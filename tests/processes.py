"""What tests ask about the embedded server's process: its id, and whether it has ended; and processes of their own."""

import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import AnyStr

WITHIN_S = 30


def server_pid(data_dir: Path, *, major: int = 18) -> int:
    """Return the process id of the embedded server of a data folder."""
    return int((data_dir / f"postgres-{major}" / "postmaster.pid").read_text().split()[0])


def has_ended(pid: int) -> bool:
    """Tell whether a process has ended, or ends within half a minute.

    A zombie has ended too: who reaps it is not ours to say.
    """
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)  # a poll with a deadline: nothing tells us of the end of a process that is not our child
    return False


@contextmanager
def outlived(process: subprocess.Popen[AnyStr]) -> Generator[subprocess.Popen[AnyStr]]:
    """Let a process end with the block at the latest: one that hangs would keep the test that has failed waiting."""
    with process:
        try:
            yield process
        finally:
            process.kill()
