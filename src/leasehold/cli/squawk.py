"""What squawk, a linter of migrations, has to say about the SQL of a run."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from leasehold.config import PROJECT_ROOT
from leasehold.tenancy.fleet.segments import Rendering

_TIMEOUT_S = 4  # less than the runner may be silent for
_FINDING = re.compile(r"migration\.sql:(\d+):\d+: ")


def findings_of(renderings: Iterable[Rendering]) -> list[str]:
    """Return squawk's findings, a line each with its place, or one line that says why there are none to be had."""
    said = [line for rendering in renderings for line in _lines_of(rendering)]
    if not said:
        return []
    program = _program()
    if program is None:
        return ["squawk is not installed here, so nobody has looked at the SQL; `just lint` does"]
    command = [program, "--reporter", "gcc", "--stdin-filepath", "migration.sql"]
    if (config := PROJECT_ROOT / ".squawk.toml").exists():
        command += ["--config", str(config)]
    try:
        text = "".join(f"{statement};\n" for statement, _ in said)
        ran = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603  # a list, and no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"squawk could not look at the SQL: {error}"]
    places = [place for statement, place in said for _ in range(statement.count("\n") + 1)]
    # Renderings from several revisions end alike, and are complained about once.
    return list(dict.fromkeys(_placed(line, places) for line in ran.stdout.splitlines() if line.strip()))


def _lines_of(rendering: Rendering) -> Iterator[tuple[str, str]]:
    """Yield each statement with its place, and where transactions begin and end: a table made in one may be locked."""
    places = iter(rendering.places)
    for segment in rendering.segments:
        is_transaction = bool(segment.statements) and not segment.autocommit
        if is_transaction:
            yield "BEGIN", ""
        for statement in segment.statements:
            yield statement, next(places)
        if is_transaction:
            yield "COMMIT", ""


def _placed(finding: str, places: list[str]) -> str:
    """Return a finding (`migration.sql:LINE:COLUMN: ...`, counted from 0) with the file and line of its revision."""
    found = _FINDING.match(finding)
    return f"{places[int(found[1])]}: {finding[found.end() :]}" if found else finding


def _program() -> str | None:
    beside = Path(sys.executable).with_name("squawk")
    return str(beside) if beside.exists() else shutil.which("squawk")
