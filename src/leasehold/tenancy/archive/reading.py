"""Reads an archive. Whatever is wrong with it is told before anything is done with what it holds."""

import hashlib
import hmac
import struct
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Generic, Self, TypeVar
from zipfile import BadZipFile, ZipFile

import msgspec

from leasehold.tenancy.archive.manifest import (
    FORMAT,
    MANIFEST,
    AnyManifest,
    ArchivedTable,
    MadeBy,
    Manifest,
    PlatformManifest,
    SealedManifest,
)
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.refusals import ArchiveNewer, ArchiveRefused, Damaged, NotReadable, OfAnotherKind
from leasehold.tenancy.archive.sealing import ArchiveKey

M = TypeVar("M", bound=AnyManifest)

_PIECE = 256 * 1024
_MOST_MANIFEST = 16 * 1024 * 1024
# How zipfile says that a byte is not what it was.
_DAMAGES = (BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, struct.error, ValueError)


class ArchiveReader(Generic[M]):
    """An archive, open for reading."""

    def __init__(self, path: Path, stream: IO[bytes] | None, kind: type[M]) -> None:
        """Open it and read its manifest, whose seal nobody has looked at yet; `stream` is read where it is no file.

        Raises:
            NotReadable: there is no such file, or it cannot be read.
            Damaged: it is no archive, or not a whole one.
            ArchiveNewer: it has a format that this release does not know.
            OfAnotherKind: it is one of a tenant where the platform's was wanted, or the other way round.
        """
        with _told(path):
            self._zip = ZipFile(stream or path)
        try:
            with _told(path), self._zip.open(MANIFEST) as member:
                text = member.read(_MOST_MANIFEST + 1)
            self._path = path
            self._sealed, self.manifest = _manifest_in(text, kind)
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    @property
    def seal(self) -> str:
        """The seal of the manifest, by which two archives are told apart."""
        return self._sealed.mac

    def key(self, passphrase: str) -> ArchiveKey:
        """Return the key of the archive, which has sealed the manifest as it is.

        Raises:
            WrongPassphrase: the passphrase is another one's.
            Damaged: the manifest is not as it was sealed.
        """
        key = ArchiveKey.of(passphrase, self.manifest.key)
        self.demand_seal(key)
        return key

    def demand_seal(self, key: ArchiveKey) -> None:
        """Pass if a key that was derived already has sealed the manifest as it is.

        Raises:
            Damaged: it has not.
        """
        key.demand_seal(bytes(self._sealed.manifest), self._sealed.mac)

    def verify(self, *, progress: Progress = SILENT) -> None:
        """Read all of it, and pass if every table is what the manifest says.

        Raises:
            NotReadable, Damaged: it is not.
        """
        for table in self.manifest.tables:
            for piece in self.pieces(table):
                progress.on_bytes(len(piece))
            progress.on_table(f"verified {table.name}", table.bytes)

    def pieces(self, table: ArchivedTable) -> Iterator[bytes]:
        """Yield the rows of a table as COPY text, in pieces of any length.

        Raises:
            NotReadable, Damaged: the file cannot be read, or the table is not what the manifest says.
        """
        digest, size = hashlib.sha256(), 0
        with _told(self._path), self._zip.open(table.member) as member:
            while piece := member.read(_PIECE):
                size += len(piece)
                if size > table.bytes:
                    break
                digest.update(piece)
                yield piece
        if size != table.bytes or not hmac.compare_digest(digest.hexdigest(), table.sha256):
            raise Damaged(reason=f"the table {table.name} is not what the manifest says")


class ArchiveFile(ArchiveReader[Manifest]):
    """The archive of a tenant, open for reading."""

    def __init__(self, path: Path, stream: IO[bytes] | None = None) -> None:
        """Open it; see `ArchiveReader`."""
        super().__init__(path, stream, Manifest)


class PlatformArchiveFile(ArchiveReader[PlatformManifest]):
    """The archive of the platform, open for reading."""

    def __init__(self, path: Path, stream: IO[bytes] | None = None) -> None:
        """Open it; see `ArchiveReader`."""
        super().__init__(path, stream, PlatformManifest)


def _manifest_in(text: bytes, kind: type[M]) -> tuple[SealedManifest, M]:
    try:
        sealed = msgspec.json.decode(text, type=SealedManifest)
        made_by = msgspec.json.decode(sealed.manifest, type=MadeBy)
        if made_by.format > FORMAT:
            raise ArchiveNewer(made_by=made_by.leasehold, reason=f"it has the format {made_by.format}")
        wanted = "platform" if kind is PlatformManifest else "tenant"
        if made_by.scope != wanted:
            raise OfAnotherKind(found=made_by.scope, wanted=wanted)
        return sealed, msgspec.json.decode(sealed.manifest, type=kind)
    except msgspec.MsgspecError as error:
        raise Damaged(reason="its manifest cannot be read") from error


@contextmanager
def _told(path: Path) -> Generator[None]:
    """Tell what is wrong with a file in a sentence."""
    try:
        yield
    except ArchiveRefused:
        raise
    except OSError as error:
        raise NotReadable(path=path, reason=error.strerror or str(error)) from error
    except _DAMAGES as error:
        raise Damaged(reason=_reason(error)) from error


def _reason(error: Exception) -> str:
    """Return what zipfile found, without the words that only programmers need."""
    if isinstance(error, KeyError):
        return "a part of it is missing"
    text = str(error)
    return text[:1].lower() + text[1:].rstrip(".") if text else type(error).__name__
