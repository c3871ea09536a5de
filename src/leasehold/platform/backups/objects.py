"""Objects in a folder or in an S3-compatible store, by the library obstore. Only imported where there is such a store.

Where S3 is and who we are, the variables say that all its clients know: AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...

Its blocking functions are called, in threads. The others hand what they found to the event loop from threads that are
not Python's: if the process comes to its end just then, such a thread aborts it (PyO3/pyo3-async-runtimes#40).
"""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store, from_url

from leasehold.platform.backups.refusals import StoreRefuses
from leasehold.tenancy.archive.landing import landing
from leasehold.tenancy.archive.writing import Sink

_PIECE_BYTES = 8 * 1024 * 1024
# S3 takes 10,000 parts, so this is 156 GiB for one archive; and what one archive under way costs in memory, some times.
_PART_BYTES = 16 * 1024 * 1024
_PARTS_AT_ONCE = 2
_TAIL_BYTES = 128 * 1024
_CODE = re.compile(r"<Code>(\w+)</Code>")


def open_objects(url: str) -> "StoredObjects":
    """Return the objects of a store by its URL, `file:///folder` or `s3://bucket/prefix`.

    Raises:
        StoreRefuses: the folder cannot be made, or the URL names no store.
    """
    if urlsplit(url).scheme == "file":
        root = Path(unquote(urlsplit(url).path))
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreRefuses(url=url, reason=error.strerror or str(error)) from error
        return StoredObjects(url, LocalStore(root), root)
    with _told(url):
        store = from_url(
            url,
            client_options={"connect_timeout": "5s", "timeout": "120s", "allow_http": True},
            retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
        )
    return StoredObjects(url, cast("S3Store", store), None)


class StoredObjects:
    """Objects by name."""

    def __init__(self, url: str, store: ObjectStore, root: Path | None) -> None:
        self.url = url
        self._store = store
        self._root = root
        """The folder, where it is one: what is written there is on the disk, and nobody else's to read."""

    async def below(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        """Yield the names below a folder, with the sizes."""
        with _told(self.url):
            batches = obstore.list(self._store, prefix)  # pyright: ignore[reportUnknownMemberType]
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                for found in batch:
                    yield found["path"], found["size"]

    async def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right below a folder."""
        with _told(self.url):
            found = await asyncio.to_thread(
                lambda: obstore.list_with_delimiter(self._store, prefix)  # pyright: ignore[reportUnknownMemberType]
            )
        return [name.rstrip("/").rpartition("/")[2] for name in found["common_prefixes"]]

    async def read(self, path: str) -> bytes:
        """Return a small object."""
        with _told(self.url):
            return await asyncio.to_thread(lambda: bytes(obstore.get(self._store, path).bytes()))

    async def pieces(self, path: str) -> AsyncIterator[bytes]:
        """Yield an object piece by piece, each by a request of its own: so none has to last as long as all of it."""
        with _told(self.url):
            size = (await asyncio.to_thread(obstore.head, self._store, path))["size"]
            for start in range(0, size, _PIECE_BYTES):
                end = min(start + _PIECE_BYTES, size)
                yield bytes(await asyncio.to_thread(obstore.get_range, self._store, path, start=start, end=end))

    def open(self, path: str) -> io.RawIOBase:
        """Open an object to read here and there in it."""
        with _told(self.url):
            opened = obstore.open_reader(self._store, path, buffer_size=_TAIL_BYTES)
        return _Reading(self.url, opened)

    @contextmanager
    def writing(self, path: str) -> Generator[Sink]:
        """Lend what writes an object."""
        if self._root is not None:
            target = self._root / path
            with _told(self.url):
                target.parent.mkdir(parents=True, exist_ok=True)
            with landing(target) as file:
                yield file
            return
        with _told(self.url):
            writer = obstore.open_writer(self._store, path, buffer_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)
        try:
            yield _Uploading(self.url, writer)
        except BaseException as error:
            with suppress(BaseError, OSError):  # ended like this, it deletes the parts that are there already
                writer.__exit__(type(error), error, error.__traceback__)  # pyright: ignore[reportUnknownMemberType]
            raise
        with _told(self.url):
            writer.close()

    async def delete(self, paths: Sequence[str]) -> None:
        """Delete objects."""
        for path in paths:
            try:
                with _told(self.url):
                    await asyncio.to_thread(obstore.delete, self._store, path)
            except FileNotFoundError:
                continue


class _Uploading:
    """An upload, whose faults are told apart from those of the database, which are OSErrors too."""

    def __init__(self, url: str, writer: "obstore.WritableFile") -> None:
        self._url = url
        self._writer = writer

    def write(self, data: bytes, /) -> int:
        with _told(self._url):
            return self._writer.write(data)

    def flush(self) -> None:
        """Keep what there is for the next part, which has a least size."""


class _Reading(io.RawIOBase):
    """An object as zipfile wants to read it."""

    def __init__(self, url: str, opened: "obstore.ReadableFile") -> None:
        self._url = url
        self._opened = opened

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._opened.seek(offset, whence)

    def tell(self) -> int:
        return self._opened.tell()

    def readinto(self, buffer: Any, /) -> int:
        with _told(self._url):
            piece = bytes(self._opened.read(len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)


@contextmanager
def _told(url: str) -> Generator[None]:
    """Tell in a sentence what a store refuses; that an object is not there is for the caller to understand."""
    try:
        yield
    except BaseError as error:
        raise StoreRefuses(url=url, reason=_reason(error)) from error
    except FileNotFoundError as error:
        if (code := _CODE.search(str(error))) and code[1] != "NoSuchKey":
            raise StoreRefuses(url=url, reason=code[1]) from error
        raise
    except OSError as error:
        raise StoreRefuses(url=url, reason=error.strerror or str(error)) from error


def _reason(error: Exception) -> str:
    """Return what a store says, without what only programmers need."""
    text = str(error)
    line = text.partition("\n")[0].rstrip(". ")
    code = _CODE.search(text)
    return f"{code[1]} ({line.partition(': <?xml')[0]})" if code else line
