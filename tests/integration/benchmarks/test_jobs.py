"""The benchmark of jobs still works; how fast anything is, is not tested."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_QUEUES = (
    "Leasehold, with a session",
    "Leasehold, without a session",
    "by hand, a bound transaction for each job",
    "by hand, ticked off by the batch",
)


def _bench_jobs(project: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "jobs", *map(str, arguments)],
        cwd=project,
        env={name: value for name, value in os.environ.items() if not name.startswith(("LEASEHOLD_", "PYTEST_"))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_short_form_measures_every_queue_that_needs_no_environment(project: Path, tmp_path: Path) -> None:
    finished = _bench_jobs(project, "--short", "--output", tmp_path)

    assert finished.returncode == 0, finished.stderr
    text = (tmp_path / "jobs.md").read_text()
    assert text.strip() == finished.stdout.strip()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## 60 jobs that do nothing, of 3 tenants",
        "## From COMMIT to start",
        "## One job beside 5,000 of another tenant, 1 ms each",
    ]
    counts = [text.count(f"\n| {queue} |") for queue in _QUEUES]
    assert counts == [3, 3, 2, 2], text


@pytest.mark.parametrize("arguments", [["--only", "nonsense"], ["--tenants", "1"]])
def test_what_cannot_be_measured_of_jobs_is_refused(project: Path, arguments: list[str]) -> None:
    assert _bench_jobs(project, *arguments).returncode == 2
