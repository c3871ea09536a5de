"""A run of backups that is killed, told to end, out of space, or refused by its store."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import httpx
import psycopg
import pytest

from leasehold.cli.session import run_with
from leasehold.config import Settings
from leasehold.process import Process
from tests.archives import PASSPHRASE
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, new_slug
from tests.integration.archives.conftest import as_owner
from tests.processes import outlived
from tests.stores import BUCKET, client, s3_server, use

_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")
_ROWS = """
INSERT INTO "{schema}".items (id, title, description, created_at, updated_at)
SELECT gen_random_uuid(), 'x', repeat(md5(n::text), 60), now(), now() FROM generate_series(1, 3000) n
"""


@pytest.fixture(scope="module")
def fleet(admin_url: str) -> Generator[Settings]:
    """An installation with five tenants, of which the last one has some megabytes."""
    with installed(admin_url, f"leasehold_kill_{new_slug()[2:]}") as made:
        migrate(made)

        async def fill(process: Process) -> None:
            tenants = [
                await process.provisioner.provision(slug=f"{new_slug()}-{number}", name="X", by=OPERATOR)
                for number in range(5)
            ]
            owner = await as_owner(made)
            await owner.execute(_ROWS.format(schema=tenants[-1].schema))
            await owner.close()

        asyncio.run(run_with(made, fill))
        yield made


@pytest.fixture(scope="module")
def s3() -> Generator[str]:
    """The URL of an S3 server."""
    with s3_server() as url:
        yield url


class Leasehold:
    """Runs `leasehold` on an installation with a store."""

    def __init__(self, settings: Settings, url: str | None) -> None:
        assert settings.owner_url is not None
        self._owner_url = settings.owner_url.get_secret_value()
        self.environment = {name: text for name, text in os.environ.items() if not name.startswith("LEASEHOLD_")}
        self.environment |= {
            f"LEASEHOLD_{name.upper()}": getattr(settings, name).get_secret_value() for name in _SECRETS
        }
        self.environment["LEASEHOLD_BACKUP_PASSPHRASE"] = PASSPHRASE
        if url:
            self.environment["LEASEHOLD_BACKUP_URL"] = url

    def start(self, *arguments: str, limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "leasehold", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            text=True,
            preexec_fn=limit,
        )

    def run(self, *arguments: str, limit: Callable[[], None] | None = None) -> tuple[int, str, str]:
        with outlived(self.start(*arguments, limit=limit)) as command:
            output, errors = command.communicate(timeout=60)
        assert "Traceback" not in errors, errors
        return command.returncode, output, errors

    def signal_after(self, ending: str, by: signal.Signals, *arguments: str) -> tuple[int, str]:
        """Send a signal once the command has said a line that holds a text; return its status and what else it said.

        The last tenant is held up until then, so that the command cannot come to its end before.
        """
        with psycopg.connect(self._owner_url) as owner:
            ((schema,),) = owner.execute("SELECT schema_name FROM platform.tenants WHERE slug LIKE '%-4'").fetchall()
            owner.execute(f'LOCK TABLE "{schema}".items IN ACCESS EXCLUSIVE MODE'.encode())
            with outlived(self.start(*arguments)) as command:
                assert command.stderr is not None
                for told in command.stderr:
                    if ending in told:
                        break
                else:
                    raise AssertionError(command.communicate(timeout=60))
                command.send_signal(by)
                owner.rollback()
                rest = command.stderr.read()
                command.wait(timeout=60)
        return command.returncode, rest


@pytest.fixture(params=["folder", "s3"])
def leasehold(
    request: pytest.FixtureRequest, fleet: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Leasehold:
    """The command with an empty store, of each kind."""
    if request.param == "folder":
        return Leasehold(fleet, f"file://{tmp_path}/store")
    use(monkeypatch, request.getfixturevalue("s3"))
    return Leasehold(fleet, f"s3://{BUCKET}/{new_slug()}")


def newest(leasehold: Leasehold) -> list[dict[str, object]]:
    status, output, errors = leasehold.run("backup", "list", "--json")
    assert status == 0, errors
    return json.loads(output)


def test_a_run_that_is_killed_is_gone_on_with_by_the_next_one(leasehold: Leasehold) -> None:
    status, _ = leasehold.signal_after("-1: ", signal.SIGKILL, "backup", "--jobs", "1")
    assert status == -signal.SIGKILL
    before = newest(leasehold)
    assert 3 <= len(before) < 6

    status, output, errors = leasehold.run("backup", "--jobs", "1", "--json")

    done = json.loads(output)
    assert status == 0, errors
    assert errors.startswith("going on with the run of ")
    assert (done["made"] + done["resumed"], done["unchanged"], done["failed"]) == (6, 0, [])
    assert done["resumed"] == len(before)
    after = newest(leasehold)
    assert len(after) == 6
    assert [one for one in after if one in before] == before
    assert all(one["bytes"] for one in after)


def test_a_run_that_is_told_to_end_says_so_and_leaves_whole_archives_alone(fleet: Settings, tmp_path: Path) -> None:
    leasehold = Leasehold(fleet, f"file://{tmp_path}/store")
    status, rest = leasehold.signal_after("-0: ", signal.SIGTERM, "backup", "--jobs", "2")

    assert status == 2
    assert rest.splitlines()[-1] == (
        "leasehold: The run was interrupted. What it has done stays; run it again for the rest."
    )
    assert "Traceback" not in rest
    assert all(one["bytes"] for one in newest(leasehold))


def test_an_archive_that_finds_no_space_fails_and_the_others_are_made(fleet: Settings, tmp_path: Path) -> None:
    leasehold = Leasehold(fleet, f"file://{tmp_path}/store")

    def small_files_alone() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    status, output, _ = leasehold.run("backup", "--jobs", "2", limit=small_files_alone)

    assert status == 1
    first, failed = output.splitlines()
    assert first.startswith("5 made (")
    assert first.endswith(" 0 unchanged, 0 there already, 1 failed, 0 not tried; 0 old ones deleted.")
    assert failed.endswith("cannot be written: File too large.")
    assert [path.name for path in (tmp_path / "store").rglob("*.partial")] == []
    assert len(newest(leasehold)) == 5


def test_a_store_that_does_not_answer_is_told_of_in_one_sentence(
    fleet: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, "http://127.0.0.1:1")
    leasehold = Leasehold(fleet, "s3://somewhere/else")

    status, output, errors = leasehold.run("backup")

    assert (status, output) == (2, "")
    (line,) = errors.splitlines()
    assert line.startswith("leasehold: The backup store s3://somewhere/else cannot be used: Generic S3 error")


def test_wrong_credentials_are_told_of_in_one_sentence(
    fleet: Settings, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, s3)
    leasehold = Leasehold(fleet, f"s3://{BUCKET}/forbidden")
    httpx.post(f"{s3}/moto-api/reset-auth", content=b"0").raise_for_status()
    try:
        status, output, errors = leasehold.run("backup")
    finally:
        httpx.post(f"{s3}/moto-api/reset-auth", content=b"inf").raise_for_status()

    assert (status, output) == (2, "")
    (line,) = errors.splitlines()
    assert line.startswith(f"leasehold: The backup store s3://{BUCKET}/forbidden cannot be used: ")
    assert "InvalidAccessKeyId" in line
    assert client(s3).list_objects_v2(Bucket=BUCKET, Prefix="forbidden").get("Contents", []) == []
