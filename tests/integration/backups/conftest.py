"""What the tests of backups share."""

from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest

from leasehold.platform.backups.objects import open_objects
from leasehold.platform.backups.store import BackupStore
from tests.stores import BUCKET, s3_server, use


@pytest.fixture(scope="session")
def s3() -> Generator[str]:
    """The URL of an S3 server with one bucket."""
    with s3_server() as url:
        yield url


@pytest.fixture(params=["folder", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store, of each kind."""
    if request.param == "folder":
        return f"file://{tmp_path}/a%20folder"
    use(monkeypatch, request.getfixturevalue("s3"))
    return f"s3://{BUCKET}/{uuid4()}"


@pytest.fixture
def store(store_url: str) -> BackupStore:
    """An empty store, of each kind."""
    return BackupStore(open_objects(store_url))
