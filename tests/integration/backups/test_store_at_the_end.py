"""A process that asked a store for something last ends as it should: with its own status."""

import subprocess
import sys
from pathlib import Path

_ASKS = """
import asyncio, sys
from leasehold.platform.backups.objects import open_objects

async def ask():
    objects = open_objects(sys.argv[1])
    names = [name async for name, _ in objects.below("a")]
    return names, await objects.folders(""), await objects.read(names[0]), [one async for one in objects.pieces("a/b")]

assert asyncio.run(ask()) == (["a/b"], ["a"], b"what", [b"what"])
"""


def test_no_thread_of_the_store_ends_a_process_that_is_done(tmp_path: Path) -> None:
    """Many at once, so that some come to their end in the very moment in which their last answer is handed over."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_text("what")
    command = [sys.executable, "-c", _ASKS, tmp_path.as_uri()]
    for _ in range(3):
        running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(12)]
        told = [(one.communicate(timeout=300)[1], one.returncode) for one in running]
        assert told == [(b"", 0)] * 12
