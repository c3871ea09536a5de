"""What squawk, a linter of migrations, has to say about the SQL of a run."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from leasehold.config import PROJECT_ROOT
from leasehold.tenancy.fleet.segments import Rendering

_TIMEOUT_S = 30


def findings_of(renderings: Iterable[Rendering]) -> list[str]:
    """Return squawk's findings, a line each, or one line that says why there are none to be had."""
    scripts = [segment.script for rendering in renderings for segment in rendering.segments if segment.statements]
    if not scripts:
        return []
    program = _program()
    if program is None:
        return ["squawk is not installed here, so nobody has looked at the SQL; `just lint` does"]
    command = [program, "--reporter", "gcc", "--stdin-filepath", "migration.sql"]
    if (config := PROJECT_ROOT / ".squawk.toml").exists():
        command += ["--config", str(config)]
    try:
        text = ";\n".join(scripts) + ";\n"
        ran = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"squawk could not look at the SQL: {error}"]
    return [line for line in ran.stdout.splitlines() if line.strip()]


def _program() -> str | None:
    beside = Path(sys.executable).with_name("squawk")
    return str(beside) if beside.exists() else shutil.which("squawk")
