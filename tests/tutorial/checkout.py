"""A scratch copy of the repository with an installation of its own, in which commands are run as people run them."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from leasehold.config import Settings
from tests.architecture.source import ROOT
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, parts_of

_NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", ".env", ".leasehold", "__pycache__", ".*_cache", ".hypothesis")
_WITHIN_S = 300


@dataclass(frozen=True)
class Checkout:
    folder: Path
    environment: dict[str, str]

    def run(self, script: str, *, status: int = 0) -> str:
        """Run a script as a shell does, and return what it printed; the test fails when it ends otherwise."""
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_WITHIN_S,
        )
        assert ran.returncode == status, f"{script}\n{ran.stdout}"
        return ran.stdout

    def files(self) -> dict[str, bytes]:
        """Return all files, but for what Python and the tools leave behind."""
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        kept = (path for path in found if "__pycache__" not in path.parts and not path.parts[0].startswith("."))
        return {str(path): (self.folder / path).read_bytes() for path in kept}


@contextmanager
def checkout(folder: Path, admin_url: str) -> Iterator[Checkout]:
    """Make a scratch copy, whose installation has two tenants at head."""
    just = shutil.which("just")
    if just is None:
        pytest.skip("`just` is not installed")
    shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
    (folder / ".venv").symlink_to(sys.prefix)
    # The recipes without `setup`: what is installed belongs to the real checkout.
    programs = folder.with_name(f"{folder.name}-programs")
    programs.mkdir()
    (programs / "just").write_text(f'#!/bin/sh\nexec {just} --no-deps "$@"\n')
    (programs / "just").chmod(0o755)
    with installed(admin_url, f"leasehold_{folder.name.replace('-', '_')}_{os.getpid()}") as settings:
        migrate(settings)
        asyncio.run(_provision(settings, "acme", "globex"))
        assert settings.owner_url is not None
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEASEHOLD", "PYTEST"))}
        made = Checkout(
            folder,
            kept
            | {
                "PATH": f"{programs}:{os.environ['PATH']}",
                "PYTHONPATH": f"{folder / 'src'}:{folder}",
                "TEST_DATABASE_URL": admin_url,
                "PYTEST_XDIST_AUTO_NUM_WORKERS": "0",  # the other cores have the other tests
                "LEASEHOLD_DATABASE_URL": settings.database_url.get_secret_value(),
                "LEASEHOLD_OWNER_URL": settings.owner_url.get_secret_value(),
                "LEASEHOLD_INSTALLATION_KEY": settings.installation_key.get_secret_value(),
            },
        )
        yield made


async def _provision(settings: Settings, *slugs: str) -> None:
    async with parts_of(settings) as process:
        for slug in slugs:
            await process.provisioner.provision(slug=slug, name=slug.title(), by=OPERATOR)
