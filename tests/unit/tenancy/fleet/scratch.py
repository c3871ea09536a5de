"""Tenant histories that a test writes for itself."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

from leasehold.tenancy.fleet.history import TenantHistory

_FILE = """\
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {after!r}
{extra}

def upgrade():
{upgrade}

def downgrade():
{downgrade}
"""


@dataclass(frozen=True)
class Step:
    """One revision: the lines of its two functions, and what else stands in its file."""

    revision: str
    after: str | tuple[str, ...] | None = None
    upgrade: str = "pass"
    downgrade: str = "pass"
    extra: str = ""


def write_history(folder: Path, *steps: Step) -> Path:
    """Write a history into a folder of migrations and return the folder."""
    versions = folder / "tenant" / "versions"
    versions.mkdir(parents=True)
    for step in steps:
        text = _FILE.format(
            revision=step.revision,
            after=step.after,
            extra=step.extra,
            upgrade=textwrap.indent(textwrap.dedent(step.upgrade).strip(), "    "),
            downgrade=textwrap.indent(textwrap.dedent(step.downgrade).strip(), "    "),
        )
        (versions / f"{step.revision}.py").write_text(text)
    return folder


def history_of(folder: Path, *steps: Step) -> TenantHistory:
    """Write a history and load it."""
    return TenantHistory.load(write_history(folder, *steps))
