"""The environment of the peers that need what the project does not: `.venv-bench`, from its own hashed lock."""

import shutil
import subprocess
import sys

from benchmarks.peers import BENCH_PYTHON, ROOT


class NoUv(RuntimeError):
    """The peers' environment is made by uv, which is not on the PATH; `--only leasehold,l1,l1b` does without."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def make_environment() -> None:
    """Make `.venv-bench`, or bring it up to date with its lock."""
    uv = shutil.which("uv")
    if uv is None:
        raise NoUv
    folder = BENCH_PYTHON.parents[1]
    if not BENCH_PYTHON.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    lock = str(ROOT / "requirements" / "bench-peers.txt")
    subprocess.run([uv, "pip", "sync", "--quiet", "--require-hashes", "-p", str(BENCH_PYTHON), lock], check=True)
