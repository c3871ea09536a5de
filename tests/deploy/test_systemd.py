"""The units are what systemd understands, and give away nothing that they do not need."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY

_ANALYZE = shutil.which("systemd-analyze")
_UNITS = sorted(DEPLOY.glob("*.service"))
_MOST_EXPOSED = 20
"""On systemd's scale from 0 to 100: it shows a tenth of that."""

pytestmark = pytest.mark.skipif(_ANALYZE is None, reason="systemd-analyze is not installed on this machine")


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert _ANALYZE is not None
    return subprocess.run([_ANALYZE, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    for unit in _UNITS:
        # It wants to see the program, which stands where a deploy puts it.
        there = unit.read_text().replace("/opt/leasehold/.venv/bin/leasehold", "/bin/sh")
        (tmp_path / unit.name).write_text(there)
    for timer in DEPLOY.glob("*.timer"):
        shutil.copy(timer, tmp_path)
    checked = _analyze("verify", "--man=no", *map(str, sorted(tmp_path.iterdir())))
    assert (checked.returncode, checked.stderr) == (0, "")
    (tmp_path / "leasehold.service").write_text("[Service]\nExecStart=/bin/sh\nProtectSystems=strict\n")
    assert "ProtectSystems" in _analyze("verify", "--man=no", str(tmp_path / "leasehold.service")).stderr


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_hardly_exposed(unit: Path) -> None:
    checked = _analyze("security", "--offline=true", f"--threshold={_MOST_EXPOSED}", "--no-pager", str(unit))
    assert checked.returncode == 0, checked.stdout[-300:]


def test_units_are_four_and_one_of_them_has_a_timer() -> None:
    assert [timer.name for timer in DEPLOY.glob("*.timer")] == ["leasehold-backup.timer"]
    assert [unit.name for unit in _UNITS] == [
        "leasehold-backup.service",
        "leasehold-migrate.service",
        "leasehold-worker.service",
        "leasehold.service",
    ]
