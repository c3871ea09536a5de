"""One process, one server: what a start leaves behind, and that a stop leaves no process behind."""

import os
import stat
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from leasehold.embedded import EmbeddedPostgres
from tests.integration.cli.shell import free_port
from tests.processes import has_ended, server_pid

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


@pytest.mark.parametrize("major", [16, 18])
def test_a_second_start_finds_the_data_of_the_first(tmp_path: Path, major: Literal[16, 18]) -> None:
    data_dir = tmp_path / "data"
    server = EmbeddedPostgres(data_dir, major=major, parameters=FAST)

    with server as url:
        first = server_pid(data_dir, major=major)
        assert int(str(ask(url, "SHOW server_version_num"))) // 10000 == major
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'yes' AS answer")
    assert has_ended(first)

    with server as url:
        second = server_pid(data_dir, major=major)
        assert ask(url, "SELECT answer FROM kept") == "yes"
    assert has_ended(second)


def test_both_majors_live_side_by_side_in_one_folder(tmp_path: Path) -> None:
    with (
        EmbeddedPostgres(tmp_path, major=16, parameters=FAST) as older,
        EmbeddedPostgres(tmp_path, major=18, parameters=FAST) as newer,
    ):
        pids = [server_pid(tmp_path, major=16), server_pid(tmp_path, major=18)]
        assert older != newer
        assert ask(older, "SELECT 1") == ask(newer, "SELECT 1") == 1

    assert all(has_ended(pid) for pid in pids)


def test_the_cluster_speaks_utf8_and_asks_for_a_password(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, parameters=FAST) as url:
        assert ask(url, "SHOW server_encoding") == "UTF8"
        assert ask(url, "SELECT upper('äé')") == "ÄÉ"
        assert ask(url, "SELECT string_agg(w, '' ORDER BY w) FROM unnest(ARRAY['a', 'B', 'A', 'b']) w") == "ABab"
        assert ask(url, "SHOW data_checksums") == "on"
        password = (tmp_path / "postgres-18.password").read_text()
        assert password in url
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace(password, "guessed"))


def test_parameters_override_the_defaults(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, parameters={**FAST, "max_connections": "7", "work_mem": "3 MB"}) as url:
        assert ask(url, "SHOW max_connections") == "7"
        assert ask(url, "SHOW work_mem") == "3MB"
        assert ask(url, "SHOW fsync") == "off"
        assert ask(url, "SHOW max_locks_per_transaction") == "256"


def test_only_this_machine_can_connect_and_over_tcp_alone(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, parameters=FAST) as url:
        assert ask(url, "SHOW listen_addresses") == "127.0.0.1"
        assert ask(url, "SHOW unix_socket_directories") == ""


def test_folders_and_the_password_are_closed_to_others(tmp_path: Path) -> None:
    data_dir = tmp_path / "made" / "data"
    with EmbeddedPostgres(data_dir, parameters=FAST):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [data_dir, *data_dir.iterdir()]}

    assert modes["data"] == modes["postgres-18"] == 0o700
    assert modes["postgres-18.password"] == modes["postgres-18.log"] == modes["postgres-18.lock"] == 0o600


def test_the_modes_of_the_folders_above_are_left_alone(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with EmbeddedPostgres(closed / "data", parameters=FAST) as url:
        assert ask(url, "SELECT 1") == 1

    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_ctrl_c_on_the_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, parameters=FAST):
        assert os.getsid(server_pid(tmp_path)) != os.getsid(0)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedPostgres(tmp_path, parameters=FAST):
        pass

    assert capfd.readouterr() == ("", "")


def test_start_and_stop_may_be_repeated(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path, parameters=FAST)
    server.stop()
    assert server.start() == server.start()
    pid = server_pid(tmp_path)
    server.stop()
    server.stop()
    assert has_ended(pid)


def test_a_port_that_was_snatched_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedPostgres(tmp_path / "other", parameters=FAST) as other:
        taken = conninfo_to_dict(other)["port"]
        free = free_port()
        ports = iter([taken, free])
        monkeypatch.setattr("leasehold.embedded.postmaster._free_port", lambda: next(ports))

        with EmbeddedPostgres(tmp_path / "data", parameters=FAST) as url:
            assert conninfo_to_dict(url)["port"] == str(free)
            assert ask(url, "SELECT 1") == 1
