"""Several processes on one data folder: one server, stopped by the last one out, also after a kill -9."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from leasehold.embedded import EmbeddedPostgres
from tests.processes import has_ended, server_pid

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

USER = f"""
import sys
from pathlib import Path
from leasehold.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), parameters={FAST!r}) as url:
    print(url, flush=True)
    sys.stdin.readline()
"""

User = subprocess.Popen[str]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[], User]]:
    """Begin a process that uses the server until it is let go."""
    with ExitStack() as users:

        def begin_one() -> User:
            user = subprocess.Popen(
                [sys.executable, "-c", USER, str(tmp_path)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            users.enter_context(user)
            return user

        yield begin_one
    # Whatever a failed test left running is found and stopped here.
    with EmbeddedPostgres(tmp_path, parameters=FAST):
        pass


def url_of(user: User) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def let_go(user: User) -> None:
    user.communicate("\n", timeout=30)
    assert user.returncode == 0


def can_connect(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_processes_that_start_at_once_share_one_server_and_the_last_one_out_stops_it(
    tmp_path: Path, begin: Callable[[], User]
) -> None:
    users = [begin() for _ in range(3)]
    urls = {url_of(user) for user in users}
    pid = server_pid(tmp_path)
    assert len(urls) == 1

    for user in users[:-1]:
        let_go(user)
        assert can_connect(*urls)
        assert server_pid(tmp_path) == pid
    let_go(users[-1])

    assert has_ended(pid)


def test_the_server_of_a_killed_user_is_taken_over_and_stopped_by_the_next(
    tmp_path: Path, begin: Callable[[], User]
) -> None:
    killed = begin()
    url = url_of(killed)
    pid = server_pid(tmp_path)
    killed.kill()
    killed.wait()
    assert can_connect(url)

    with EmbeddedPostgres(tmp_path, parameters=FAST) as taken_over:
        assert taken_over == url
        assert server_pid(tmp_path) == pid

    assert has_ended(pid)


def test_the_user_that_remains_keeps_the_server_when_the_one_that_started_it_is_killed(
    tmp_path: Path, begin: Callable[[], User]
) -> None:
    starter = begin()
    url = url_of(starter)
    with EmbeddedPostgres(tmp_path, parameters=FAST) as joined:
        starter.kill()
        starter.wait()
        pid = server_pid(tmp_path)
        assert joined == url
        assert can_connect(joined)

    assert has_ended(pid)


def test_two_users_in_one_process_count_as_two(tmp_path: Path) -> None:
    first, second = (EmbeddedPostgres(tmp_path, parameters=FAST) for _ in range(2))
    url = first.start()
    pid = server_pid(tmp_path)
    try:
        assert second.start() == url
        first.stop()
        assert can_connect(url)
    finally:
        first.stop()
        second.stop()

    assert has_ended(pid)


def test_a_server_that_was_killed_is_started_again(tmp_path: Path) -> None:
    crashed = EmbeddedPostgres(tmp_path, parameters=FAST)
    crashed.start()
    pid = server_pid(tmp_path)
    os.kill(pid, signal.SIGKILL)
    assert has_ended(pid)

    try:
        with EmbeddedPostgres(tmp_path, parameters=FAST) as url:
            assert can_connect(url)
            assert server_pid(tmp_path) != pid
    finally:
        crashed.stop()

    assert not (tmp_path / "postgres-18" / "postmaster.pid").exists()
