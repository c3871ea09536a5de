"""Alembic in the way that its documentation shows for tenant schemas: one command for each, which sets the path."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from alembic.config import Config

_INI = """\
[alembic]
script_location = {here}
version_locations = {versions}
path_separator = os
sqlalchemy.url = {url}
"""


def write_ini(folder: Path, *, url: str, versions: Path) -> Path:
    """Write what Alembic is configured by, for a database and a folder of revisions, and return its file."""
    ini = folder / "alembic.ini"
    sqlalchemy_url = "postgresql+psycopg://" + url.partition("://")[2]
    text = _INI.format(here=Path(__file__).parent, versions=versions, url=sqlalchemy_url.replace("%", "%%"))
    ini.write_text(text)
    return ini


def shell_command(ini: Path, schema: str) -> list[str]:
    """Return the command that upgrades one schema in a process of its own."""
    return [sys.executable, "-m", "alembic", "-c", str(ini), "-x", f"tenant={schema}", "upgrade", "head"]


def loop_command(ini: Path, schemas: Sequence[str]) -> list[str]:
    """Return the command that upgrades one schema after another in one process, and prints the seconds that it took."""
    return [sys.executable, "-m", __name__, str(ini), *schemas]


def config_for(ini: Path, schema: str) -> Config:
    """Return the configuration with which Alembic's own functions upgrade one schema."""
    return Config(str(ini), cmd_opts=argparse.Namespace(x=[f"tenant={schema}"]))
