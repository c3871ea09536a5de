"""A small disk for one cluster alone, which can be full without harm to anybody else: a tmpfs."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


@cache
def no_disk() -> str | None:
    """Return why this process cannot have one, None where it can."""
    if os.geteuid() != 0:
        return "only root may mount a disk in memory"
    with TemporaryDirectory() as folder:
        tried = subprocess.run(_mounting(Path(folder), 1), capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            return f"no disk in memory can be mounted here: {tried.stderr.strip()}"
        subprocess.run(["umount", folder], check=True)
    return None


@contextmanager
def own_disk(folder: Path, *, mib: int) -> Generator[None]:
    """Mount one on a folder until the end of the block; with 0 MiB there is none."""
    if not mib:
        yield
        return
    subprocess.run(_mounting(folder, mib), check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mounting(folder: Path, mib: int) -> list[str]:
    return ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "leasehold-fault", str(folder)]
