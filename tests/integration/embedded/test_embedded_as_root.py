"""As root: PostgreSQL runs as another account, with programs that this account can reach."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from leasehold.embedded import BinariesNotTrusted, EmbeddedPostgres
from leasehold.embedded.binaries import PACKAGE, find_binaries

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where root's copies go, in a folder that everybody can pass through."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setattr("leasehold.embedded.binaries.COPIES", Path(folder) / "copies")
        yield Path(folder) / "copies"


@pytest.fixture
def closed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as it is installed into a virtual environment that only root may enter."""
    installed = find_binaries(18).root.parent.parent
    site = tmp_path / "site"
    site.mkdir(mode=0o700)
    for name in (PACKAGE, f"{PACKAGE}.libs"):
        unused = shutil.ignore_patterns("pginstall", "include")
        shutil.copytree(installed / name, site / name, ignore=unused)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    assert find_binaries(18).root.is_relative_to(site)


@pytest.mark.usefixtures("closed_package")
def test_programs_in_a_closed_folder_are_copied_once_to_an_open_one(tmp_path: Path, copies: Path) -> None:
    for _ in range(2):
        with EmbeddedPostgres(tmp_path / "data", parameters=FAST) as url, psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

    (copy,) = copies.iterdir()
    assert copy.stat().st_uid == 0
    assert stat.S_IMODE(copy.stat().st_mode) == 0o755


@pytest.mark.usefixtures("closed_package")
def test_a_copy_that_others_could_have_changed_is_not_run(tmp_path: Path, copies: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data", parameters=FAST):
        pass
    (copy,) = copies.iterdir()
    copy.chmod(0o777)

    with pytest.raises(BinariesNotTrusted, match=copy.name):
        EmbeddedPostgres(tmp_path / "data", parameters=FAST).start()


def test_the_server_does_not_run_as_root_and_keeps_to_the_owner_of_the_cluster(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, parameters=FAST):
        owner = (tmp_path / "postgres-18").stat().st_uid
        pid = (tmp_path / "postgres-18" / "postmaster.pid").read_text().split()[0]
        assert owner != 0
        assert Path("/proc", pid).stat().st_uid == owner


def test_a_cluster_of_an_ordinary_user_stays_that_users(tmp_path: Path) -> None:
    someone = 54321
    with EmbeddedPostgres(tmp_path, parameters=FAST):
        pass
    for path in [tmp_path / "postgres-18", *(tmp_path / "postgres-18").rglob("*")]:
        os.chown(path, someone, someone)

    with EmbeddedPostgres(tmp_path, parameters=FAST) as url, psycopg.connect(url):
        pid = (tmp_path / "postgres-18" / "postmaster.pid").read_text().split()[0]
        assert Path("/proc", pid).stat().st_uid == someone
