"""`roll-out.sh` migrates first, and rolls out only what was migrated. A `kubectl` that only takes notes stands in."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import KUBERNETES

_KUBECTL = """#!/bin/sh
echo "$*" >> "$NOTES"
case " $* " in
    *" get job "*) sed -n "$(grep -c ' get job ' "$NOTES")p" "$ANSWERS" ;;
esac
"""


def _roll_out(folder: Path, *answers: str) -> tuple[int, list[str]]:
    """Run the script where the job's conditions are these, one for each time that it looks."""
    kubectl = folder / "kubectl"
    kubectl.write_text(_KUBECTL)
    kubectl.chmod(0o755)
    (folder / "answers").write_text("\n".join(answers) + "\n")
    env = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "NOTES": str(folder / "notes"),
        "ANSWERS": str(folder / "answers"),
        "LEASEHOLD_ROLL_OUT_PAUSE": "0",
    }
    command = [str(KUBERNETES / "roll-out.sh"), "--context", "production"]
    finished = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=30)
    notes = (folder / "notes").read_text().replace(f"{KUBERNETES}/", "").splitlines()
    assert all(note.startswith("--context production ") for note in notes)
    return finished.returncode, [note.removeprefix("--context production ") for note in notes]


def test_it_waits_for_the_migrations_and_then_rolls_out(tmp_path: Path) -> None:
    status, notes = _roll_out(tmp_path, "", "SuccessCriteriaMet", "SuccessCriteriaMet Complete")
    looks = [note for note in notes if " get job " in note]
    assert (status, len(looks)) == (0, 3)
    assert [note for note in notes if note not in looks] == [
        "--namespace leasehold delete job leasehold-migrate --ignore-not-found --wait",
        "apply --kustomize migrate",
        "apply --kustomize base",
        "--namespace leasehold rollout status deployment/leasehold-server --timeout 10m",
        "--namespace leasehold rollout status deployment/leasehold-worker --timeout 10m",
    ]
    assert notes.index("apply --kustomize base") > max(notes.index(look) for look in looks)


@pytest.mark.parametrize("conditions", ["Failed", "FailureTarget Failed"])
def test_it_rolls_nothing_out_when_a_migration_has_failed(tmp_path: Path, conditions: str) -> None:
    status, notes = _roll_out(tmp_path, conditions)
    assert (status, "apply --kustomize base" in notes) == (1, False)
    assert notes[-1] == "--namespace leasehold logs job/leasehold-migrate --tail 100"
