"""What an earlier crash left in the data folder does not stop a start."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from leasehold.embedded import EmbeddedPostgres

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

STARTER = f"""
import sys
from pathlib import Path
from leasehold.embedded import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), parameters={FAST!r}).start()
"""


def can_start(data_dir: Path) -> bool:
    with EmbeddedPostgres(data_dir, parameters=FAST) as url, psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def bystander() -> Iterator[int]:
    """A process that has nothing to do with PostgreSQL."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        assert process.poll() is None
        process.communicate(b"\n")


def test_an_initdb_that_was_killed_halfway_is_begun_anew(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while not (tmp_path / "postgres-18.unfinished" / "PG_VERSION").exists():
        assert starter.poll() is None
        time.sleep(0.001)
    starter.kill()
    assert starter.wait() == -signal.SIGKILL
    assert not (tmp_path / "postgres-18").exists()

    assert can_start(tmp_path)
    assert not (tmp_path / "postgres-18.unfinished").exists()


def test_leftovers_of_an_initdb_and_a_password_without_a_cluster_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "postgres-18.unfinished" / "base").mkdir(parents=True)
    (tmp_path / "postgres-18.password").write_text("of no cluster")

    assert can_start(tmp_path)
    assert not (tmp_path / "postgres-18.unfinished").exists()
    assert (tmp_path / "postgres-18.password").read_text() != "of no cluster"


def test_a_process_file_with_the_number_of_a_process_that_is_gone_does_not_stop_a_start(
    tmp_path: Path,
) -> None:
    assert can_start(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    leave_process_file(tmp_path, pid=gone.pid)

    assert can_start(tmp_path)


def test_a_process_file_with_the_number_of_another_process_does_not_stop_a_start_nor_that_process(
    tmp_path: Path, bystander: int
) -> None:
    assert can_start(tmp_path)
    leave_process_file(tmp_path, pid=bystander)

    assert can_start(tmp_path)


def leave_process_file(data_dir: Path, *, pid: int) -> None:
    lines = [pid, data_dir / "postgres-18", 1_700_000_000, 1, "", "127.0.0.1", " 1 1", "ready   "]
    (data_dir / "postgres-18" / "postmaster.pid").write_text("".join(f"{line}\n" for line in lines))
