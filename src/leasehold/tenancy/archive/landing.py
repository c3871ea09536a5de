"""A file that is there as a whole or not at all: written under another name beside it, and renamed at the end."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from leasehold.tenancy.archive.refusals import AlreadyThere, BeingWritten, NotWritable


class LandingFile:
    """What is being written. Its faults are told apart from those of the database, which are OSErrors too."""

    def __init__(self, path: Path, partial: Path, stream: BinaryIO) -> None:
        self._path = path
        self.partial = partial
        """Under which name it is there while it is written."""
        self._stream = stream

    def write(self, data: bytes) -> int:
        """Write as any other file does."""
        with as_not_writable(self._path):
            return self._stream.write(data)

    def flush(self) -> None:
        """Hand what was written to the system."""
        with as_not_writable(self._path):
            self._stream.flush()

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._stream.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place."""
        with as_not_writable(self._path):
            return self._stream.seek(offset, whence)

    def seekable(self) -> bool:
        """Say that it can go to another place."""
        return True

    def settle(self) -> None:
        """Return when the disk has all that was written.

        Raises:
            NotWritable: it has not.
        """
        self.flush()
        with as_not_writable(self._path):
            os.fsync(self._stream.fileno())


@contextmanager
def landing(path: Path) -> Generator[LandingFile]:
    """Lend a file that only this user can read, and that is at `path` once this has ended, and not before.

    Who is killed leaves `path` with `.partial` behind it, which the next one writes anew.

    Raises:
        AlreadyThere: there is one.
        BeingWritten: somebody else is about to.
        NotWritable: the folder or the disk refuses.
    """
    if os.path.lexists(path):
        raise AlreadyThere(path=path)
    partial = path.with_name(f"{path.name}.partial")
    with as_not_writable(path):
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    stream = os.fdopen(descriptor, "w+b")
    try:
        _lock(descriptor, path)
        _demand_own(descriptor, partial, path)
    except BaseException:
        stream.close()
        raise
    try:
        with as_not_writable(path):
            os.ftruncate(descriptor, 0)
            os.fchmod(descriptor, 0o600)
        file = LandingFile(path, partial, stream)
        yield file
        file.settle()
        if os.path.lexists(path):
            raise AlreadyThere(path=path)
        with as_not_writable(path):
            partial.replace(path)
            _settle_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    finally:
        with suppress(OSError):  # what could not be written was told of
            stream.close()


@contextmanager
def as_not_writable(path: Path) -> Generator[None]:
    """Tell a fault of the file system in a sentence."""
    try:
        yield
    except OSError as error:
        raise NotWritable(path=path, reason=error.strerror or str(error)) from error


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BeingWritten(path=path) from error


def _demand_own(descriptor: int, partial: Path, path: Path) -> None:
    """Pass if what was locked is still what is written: who held the lock before may have given it its name, or removed
    it, since it was opened.
    """
    if os.path.lexists(path):
        raise AlreadyThere(path=path)
    try:
        is_own = os.path.samestat(os.fstat(descriptor), partial.stat(follow_symlinks=False))
    except FileNotFoundError:
        is_own = False
    if not is_own:
        raise BeingWritten(path=path)


def _settle_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
