"""The PgBouncer of `deploy/` works with the settings that `init` prints, by the commands that its file says."""

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from leasehold.cli.doctor import code_of
from leasehold.config import Settings
from leasehold.main import installation_key
from leasehold.tenancy.doctor.examination import examine
from leasehold.tenancy.doctor.site import open_site
from tests.bouncer import bouncing, needs_pgbouncer
from tests.deploy.files import DEPLOY, loaded
from tests.pooler import direct, keeps_statements

_FOLDER = DEPLOY / "pgbouncer"


def _first_steps(folder: Path, settings: Settings) -> tuple[str, str]:
    """Do what the compose file says with what `init` prints; return the URL of the app and the file of users."""
    parts = urlsplit(direct(settings))
    url = f"postgresql://{parts.username}:{parts.password}@postgres:5432/leasehold"
    (folder / "leasehold.env").write_text(f"LEASEHOLD_DATABASE_URL={url}\nLEASEHOLD_DIRECT_URL={url}\n")
    (folder / "pgbouncer").mkdir()
    commands = re.findall(r"^#   (sed .+)$", (_FOLDER / "compose.yaml").read_text(), re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        subprocess.run(["/bin/sh", "-euc", command], cwd=folder, check=True)
    lines = (folder / "leasehold.env").read_text().splitlines()
    assert lines[1] == f"LEASEHOLD_DIRECT_URL={url}"
    return lines[0].partition("=")[2], (folder / "pgbouncer" / "userlist.txt").read_text()


def _elsewhere(settings: Settings) -> str:
    """Return the file of PgBouncer for the server of the tests."""
    parts = urlsplit(direct(settings))
    changes = {
        "host=postgres port=5432 dbname=leasehold": f"host={parts.hostname} port={parts.port} dbname={parts.path[1:]}",
        "listen_addr = 0.0.0.0": "listen_addr = 127.0.0.1",
        "listen_port = 6432": "listen_port = {port}",
        "auth_file = /run/secrets/userlist.txt": "auth_file = {users}",
    }
    if not keeps_statements():
        changes["max_prepared_statements = 500\n"] = ""
    ini = (_FOLDER / "pgbouncer.ini").read_text()
    for before, after in changes.items():
        assert ini.count(before) == 1, before
        ini = ini.replace(before, after)
    return ini


@needs_pgbouncer
async def test_requests_go_through_it_by_transaction(settings: Settings, tmp_path: Path) -> None:
    url, users = _first_steps(tmp_path, settings)
    assert url.endswith("@pgbouncer:6432/leasehold")
    with bouncing(_elsewhere(settings), users) as port:
        through = SecretStr(url.replace("pgbouncer:6432", f"127.0.0.1:{port}"))
        update = {"database_url": through, "prepared_statements": keeps_statements()}
        made = settings.model_copy(update=update)
        async with open_site(made, code_of(made), installation_key(made), is_deep=False) as site:
            assert await site.is_pooled()
            report = await examine(site, ["urls", "listening", "pooler"])
    assert (report.findings, len(report.checked)) == ([], 3)


def test_its_files_agree() -> None:
    ini = (_FOLDER / "pgbouncer.ini").read_text()
    assert re.findall(r"^listen_port = (\d+)$", ini, re.MULTILINE) == ["6432"]
    dockerfile = (_FOLDER / "Dockerfile").read_text()
    assert ("\nEXPOSE 6432\n" in dockerfile, "\nUSER 10002\n" in dockerfile) == (True, True)
    service = loaded(_FOLDER / "compose.yaml")["services"]["pgbouncer"]
    assert service["volumes"] == ["./pgbouncer/userlist.txt:/run/secrets/userlist.txt:ro"]
    assert "auth_file = /run/secrets/userlist.txt" in ini
    assert "chown 10002 pgbouncer/userlist.txt" in (_FOLDER / "compose.yaml").read_text()
