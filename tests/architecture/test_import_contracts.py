"""The directions of imports, held by import-linter, and the proof that each contract bites."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGE, ROOT

_PLANES = "Planes stand on each other in one direction, and workspace and platform never meet"
_EMBEDDED = "The embedded server knows nothing of the product"
_FEATURES = "Inside a feature: routes, service and jobs, repository, schemas, models"
_NO_SQL = "HTTP speaks no SQL"
_NO_HTTP = "Services, jobs, repositories, models, mail and the kernel know no HTTP"

_VIOLATIONS = [
    (_PLANES, "workspace/items/models.py", "import leasehold.platform.admins.models"),
    (_PLANES, "platform/tenants/service.py", "import leasehold.workspace.scopes"),
    (_PLANES, "core/ids.py", "import leasehold.tenancy.names"),
    (_PLANES, "tenancy/names.py", "import leasehold.workspace.scopes"),
    (_PLANES, "config.py", "import leasehold.core.ids"),
    (_PLANES, "http/health.py", "import leasehold.embedded.errors"),
    (_PLANES, "http/health.py", "import leasehold.worker.metrics"),
    (_PLANES, "worker/worker.py", "import leasehold.http.health"),
    (_PLANES, "process.py", "import leasehold.worker.metrics"),
    (_PLANES, "mail/message.py", "import leasehold.workspace.scopes"),
    (_PLANES, "tenancy/names.py", "import leasehold.mail.message"),
    (_PLANES, "stray.py", "A = 1"),
    (_EMBEDDED, "embedded/errors.py", "import leasehold.tenancy.names"),
    (_EMBEDDED, "embedded/home.py", "import leasehold.workspace.scopes"),
    (_FEATURES, "workspace/items/models.py", "import leasehold.workspace.items.schemas"),
    (_FEATURES, "workspace/users/schemas.py", "import leasehold.workspace.users.repository"),
    (_FEATURES, "workspace/clients/repository.py", "import leasehold.workspace.clients.service"),
    (_FEATURES, "workspace/clients/repository.py", "import leasehold.workspace.clients.jobs"),
    (_FEATURES, "workspace/keys/repository.py", "import leasehold.workspace.keys.service"),
    (_FEATURES, "platform/admins/repository.py", "import leasehold.platform.admins.service"),
    (_FEATURES, "platform/admins/models.py", "import leasehold.platform.admins.schemas"),
    (_NO_SQL, "http/health.py", "import sqlalchemy"),
    (_NO_SQL, "http/gates.py", "import asyncpg"),
    (_NO_HTTP, "tenancy/names.py", "import litestar"),
    (_NO_HTTP, "workspace/items/service.py", "import litestar.exceptions"),
    (_NO_HTTP, "workspace/clients/jobs.py", "import litestar"),
    (_NO_HTTP, "platform/tokens/jobs.py", "import litestar"),
    (_NO_HTTP, "platform/admins/repository.py", "from litestar import Request"),
    (_NO_HTTP, "mail/smtp.py", "import litestar"),
]


def _contracts() -> dict[str, dict[str, list[str]]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {contract["name"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def _lint(folder: Path) -> tuple[int, dict[str, str]]:
    """Run import-linter on the package below a folder; return its exit status and its verdict on each contract."""
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--config", "pyproject.toml", "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src"), "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    output = " ".join(result.stdout.split())
    found = {name: re.search(rf"{re.escape(name)}(?: \([^)]*\))? (KEPT|BROKEN)", output) for name in list(_contracts())}
    return result.returncode, {name: match.group(1) if match else "not checked" for name, match in found.items()}


def test_the_source_keeps_every_contract() -> None:
    """Prevents platform code from reaching into a tenant's data, and the kernel from growing into the product."""
    assert _lint(ROOT) == (0, dict.fromkeys(_contracts(), "KEPT"))


@pytest.mark.parametrize(("contract", "file", "line"), _VIOLATIONS)
def test_a_planted_violation_breaks_its_contract_alone(tmp_path: Path, contract: str, file: str, line: str) -> None:
    """Prevents a contract that names nothing, and so is kept by any code whatever."""
    shutil.copytree(PACKAGE, tmp_path / "src" / "leasehold", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "src" / "leasehold" / file).open("a") as opened:
        opened.write(f"\n{line}\n")
    assert _lint(tmp_path) == (1, dict.fromkeys(_contracts(), "KEPT") | {contract: "BROKEN"})


def test_every_contract_has_a_planted_violation() -> None:
    """Prevents a contract that was added and never seen to bite."""
    assert {contract for contract, _, _ in _VIOLATIONS} == set(_contracts())


def test_every_feature_stands_under_the_contract_for_features() -> None:
    """Prevents a new feature whose routes talk to the database past its service."""
    features = {
        f"leasehold.{plane}.{folder.name}"
        for plane in ("workspace", "platform")
        for folder in (PACKAGE / plane).iterdir()
        if (folder / "__init__.py").is_file()
    }
    assert features == set(_contracts()[_FEATURES]["containers"])
    assert len(features) >= 6
