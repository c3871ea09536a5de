"""The Dockerfiles build what they say: read by a linter, and step by step."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, ROOT, image_environment
from tests.deploy.image import copies, main, sent_to_the_builder, stages_of

_HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
_FILES = sorted(DEPLOY.rglob("Dockerfile"))


@pytest.mark.skipif(_HADOLINT is None, reason="hadolint is not installed; `just setup` does it")
@pytest.mark.parametrize("file", _FILES, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_the_linter_finds_nothing(file: Path) -> None:
    assert _HADOLINT is not None
    linted = subprocess.run([_HADOLINT, "--no-color", str(file)], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_what_is_copied_is_there_and_is_sent_to_the_builder() -> None:
    stages = stages_of(DEPLOY / "Dockerfile")
    sent = sent_to_the_builder(ROOT, DEPLOY / "Dockerfile.dockerignore")
    made: set[str] = set()
    for stage in stages:
        for origin, sources, _ in copies(stage):
            if origin is not None:
                assert origin in made
                continue
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source.split("/")[0] in sent, source
        made.add(stage.name)
    assert [stage.name for stage in stages] == ["build", "1"]


def test_the_image_runs_as_nobody_in_particular_and_checks_itself_without_a_tool_of_its_own() -> None:
    steps = dict(stages_of(DEPLOY / "Dockerfile")[-1].steps)
    assert steps["USER"] == "10001"
    assert '"python", "-c"' in steps["HEALTHCHECK"]
    assert "/health/live" in steps["HEALTHCHECK"]
    assert (steps["ENTRYPOINT"], steps["CMD"], steps["STOPSIGNAL"]) == ('["leasehold"]', '["serve"]', "SIGTERM")
    assert set(steps["EXPOSE"].split()) == {
        image_environment()["LEASEHOLD_PORT"],
        image_environment()["LEASEHOLD_WORKER_PORT"],
    }


def test_everything_that_is_installed_is_checked_against_its_hash() -> None:
    runs = [rest for stage in stages_of(DEPLOY / "Dockerfile") for word, rest in stage.steps if word == "RUN"]
    parts = [part.strip() for run in runs for part in run.split("&&")]
    installs = [part for part in parts if " install " in part or part.startswith("uv build")]
    unchecked = [part for part in installs if "--require-hashes" not in part and "--no-deps dist/*.whl" not in part]
    assert (len(installs), unchecked) == (4, [])


@pytest.mark.skipif("LEASEHOLD_TEST_LONG" not in os.environ, reason="it is long: `just image-steps` does it")
def test_its_steps_make_what_starts(tmp_path: Path) -> None:
    main(tmp_path)
