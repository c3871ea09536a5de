"""What lies in a data folder, by name."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leasehold.embedded.errors import FolderNotUsable, PasswordMissing, ServerBusy
from leasehold.embedded.locks import FileLock

# Longer than a first start may take, which waits for initdb and then for the server.
TURN_TIMEOUT_S = 90


@dataclass(frozen=True)
class Home:
    """The files of one PostgreSQL major version in one data folder.

    Three locks: `users` is shared by every process that uses the server, `turn` is held by the one that
    starts or stops it, and `running` is inherited by the server itself. So whether the server lives is never
    guessed from a process number, which a machine hands out again after a crash.
    """

    folder: Path
    major: int

    def _named(self, suffix: str) -> Path:
        return self.folder / f"postgres-{self.major}{suffix}"

    @property
    def cluster(self) -> Path:
        return self._named("")

    @property
    def unfinished_cluster(self) -> Path:
        return self._named(".unfinished")

    @property
    def password(self) -> Path:
        return self._named(".password")

    @property
    def log(self) -> Path:
        return self._named(".log")

    @property
    def users_lock(self) -> Path:
        return self._named(".lock")

    @property
    def turn_lock(self) -> Path:
        return self._named(".turn.lock")

    @property
    def running_lock(self) -> Path:
        return self._named(".running.lock")

    def create(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for lock in (self.users_lock, self.turn_lock, self.running_lock):
            FileLock(lock).close()

    @contextmanager
    def usable(self) -> Generator[None, None, None]:
        """Turn what the file system refuses into `FolderNotUsable`."""
        try:
            yield
        except OSError as error:
            reason = f"{error.strerror} ({error.filename})" if error.filename else error.strerror or error
            raise FolderNotUsable(folder=self.folder, reason=reason) from error

    @contextmanager
    def turn(self) -> Generator[None, None, None]:
        """Be the only process that starts or stops this server. Raises `ServerBusy`."""
        with FileLock(self.turn_lock) as lock:
            if not lock.wait_exclusive(timeout_s=TURN_TIMEOUT_S):
                raise ServerBusy(folder=self.folder, seconds=TURN_TIMEOUT_S)
            yield

    def is_running(self) -> bool:
        """Whether a server lives here, or an initdb that outlived its parent. To be asked in one's turn."""
        with FileLock(self.running_lock) as lock:
            return not lock.try_exclusive()

    def read_password(self) -> str:
        try:
            return self.password.read_text()
        except OSError as error:
            raise PasswordMissing(cluster=self.cluster, password=self.password) from error

    def write_new_password(self) -> str:
        password = secrets.token_urlsafe(24)
        self.password.unlink(missing_ok=True)
        descriptor = os.open(self.password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
            file.flush()
            os.fsync(descriptor)
        return password
