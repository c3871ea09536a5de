"""File locks that end with the process that holds them, however it ends."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

POLL_S = 0.01


class FileLock:
    """One `flock` on one file, not yet held. Two on one path exclude each other, also in one process."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def try_exclusive(self) -> bool:
        """Become the only holder if nobody else holds it. A shared hold may be lost when the answer is no."""
        with suppress(BlockingIOError):
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def wait_exclusive(self, *, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not self.try_exclusive():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def share(self) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        # Never LOCK_UN: a child that inherited the descriptor must go on holding the lock.
        os.close(self.descriptor)
