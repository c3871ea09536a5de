"""Writes an archive: a ZIP file (with 64-bit sizes) of one member for each table, and the manifest behind them."""

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import IO, Any, Protocol, Self, cast
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec

from leasehold.tenancy.archive.manifest import MANIFEST, AnyManifest, SealedManifest
from leasehold.tenancy.archive.sealing import ArchiveKey

_LEVEL = 1


class Sink(Protocol):
    """Where an archive can be written to."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes."""
        ...

    def flush(self) -> None:
        """Hand them on."""
        ...


class ArchiveWriter:
    """An archive that is being written. Without a manifest it is none, whatever was written."""

    def __init__(self, sink: Sink) -> None:
        self._zip = ZipFile(cast("IO[bytes]", sink), "w", ZIP_DEFLATED, compresslevel=_LEVEL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._zip.close()
            return
        with suppress(Exception):  # or it would be closed, and complain, when it is collected
            self._zip.close()

    @contextmanager
    def member(self, name: str) -> Generator[Callable[[bytes], Any]]:
        """Lend what takes the bytes of a member."""
        with self._zip.open(name, "w", force_zip64=True) as member:
            yield member.write

    def close_with(self, manifest: AnyManifest, key: ArchiveKey) -> None:
        """Write the manifest, sealed."""
        text = msgspec.json.encode(manifest)
        sealed = SealedManifest(msgspec.Raw(text), key.seal(text))
        with self.member(MANIFEST) as write:
            write(msgspec.json.encode(sealed))
