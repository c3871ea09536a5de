"""Reads an archive. Whatever is wrong with it is told before anything is done with what it holds."""

import hashlib
import hmac
import struct
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import SEEK_END, BufferedReader, FileIO, RawIOBase
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

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
_MOST_AT_ONCE = 1024 * 1024
"""Bytes. zipfile reads the directory of a file at once, and makes an object of every fifty of them."""
_MOST_INFLATED = 1100
"""How many bytes may come of one. Deflate makes 1032 at most, unless several members are the same bytes of the file."""
_COMPRESSIONS = (ZIP_STORED, ZIP_DEFLATED)
"""Others may need any amount of memory to be undone."""
# How zipfile says that a byte is not what it was.
_DAMAGES = (
    BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    struct.error,
    ValueError,
)


class _Careful(BufferedReader):
    """A file that is not read at once, however large somebody says that a part of it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return some bytes, at most so many as will do for an archive."""
        wanted = _MOST_AT_ONCE + 1 if size is None or size < 0 else size
        found = super().read(min(wanted, _MOST_AT_ONCE + 1))
        if len(found) > _MOST_AT_ONCE:
            raise BadZipFile("Its directory is too large")
        return found


class ArchiveReader(Generic[M]):
    """An archive, open for reading."""

    def __init__(self, path: Path, raw: RawIOBase | None, kind: type[M]) -> None:
        """Open it and read its manifest, whose seal nobody has looked at yet; `raw` is read where it is no file.

        Raises:
            NotReadable: there is no such file, or it cannot be read.
            Damaged: it is no archive, or not a whole one.
            ArchiveNewer: it has a format that this release does not know.
            OfAnotherKind: it is one of a tenant where the platform's was wanted, or the other way round.
        """
        self._path = path
        with _told(path):
            self._stream = _Careful(raw or FileIO(path))
        try:
            with _told(path):
                self._zip = ZipFile(self._stream)
                text = b"".join(self._member(MANIFEST, most=_MOST_MANIFEST))
                self._sealed, self.manifest = _manifest_in(text, kind)
                if self.manifest.bytes > self._stream.seek(0, SEEK_END) * _MOST_INFLATED:
                    raise Damaged(reason="it cannot hold as much as it says")
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._stream.close()

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
        with _told(self._path):
            for piece in self._member(table.member, most=table.bytes):
                size += len(piece)
                digest.update(piece)
                yield piece
        if size != table.bytes or not hmac.compare_digest(digest.hexdigest(), table.sha256):
            raise Damaged(reason=f"the table {table.name} is not what the manifest says")

    def _member(self, name: str, *, most: int) -> Iterator[bytes]:
        """Yield the bytes of a member, in pieces.

        Raises:
            Damaged: there are more of them.
        """
        info = self._zip.getinfo(name)
        if info.compress_type not in _COMPRESSIONS:
            raise BadZipFile("It is compressed in a way that no archive is")
        with self._zip.open(info) as member:
            while piece := member.read(_PIECE):
                most -= len(piece)
                if most < 0:
                    raise Damaged(reason=f"{name} is longer than it can be")
                yield piece


class ArchiveFile(ArchiveReader[Manifest]):
    """The archive of a tenant, open for reading."""

    def __init__(self, path: Path, raw: RawIOBase | None = None) -> None:
        """Open it; see `ArchiveReader`."""
        super().__init__(path, raw, Manifest)


class PlatformArchiveFile(ArchiveReader[PlatformManifest]):
    """The archive of the platform, open for reading."""

    def __init__(self, path: Path, raw: RawIOBase | None = None) -> None:
        """Open it; see `ArchiveReader`."""
        super().__init__(path, raw, PlatformManifest)


def _manifest_in(text: bytes, kind: type[M]) -> tuple[SealedManifest, M]:
    try:
        sealed = msgspec.json.decode(text, type=SealedManifest)
        made_by = msgspec.json.decode(sealed.manifest, type=MadeBy)
        if made_by.format > FORMAT:
            raise ArchiveNewer(made_by=made_by.leasehold, reason=f"it has the format {made_by.format}")
        wanted = "platform" if kind is PlatformManifest else "tenant"
        if made_by.scope != wanted:
            raise OfAnotherKind(found=made_by.scope, wanted=wanted)
        manifest = msgspec.json.decode(sealed.manifest, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Damaged(reason="its manifest cannot be read") from error
    for names in ([table.name for table in manifest.tables], *(table.columns for table in manifest.tables)):
        if len(set(names)) != len(names):
            raise Damaged(reason="its manifest names something twice")
    return sealed, manifest


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
