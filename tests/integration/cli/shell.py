"""Runs the command as a person does: a process of its own, with an environment that is named here and nowhere else."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 180.0
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

Environment = Mapping[str, str]
Finished = subprocess.CompletedProcess[str]


def leasehold(*arguments: str | Path, env: Environment | None = None, text: str | None = None) -> Finished:
    """Run `leasehold` to its end."""
    return _run([sys.executable, "-m", "leasehold", *map(str, arguments)], env, text)


def alembic(*arguments: str, env: Environment, folder: Path = PROJECT) -> Finished:
    """Run `alembic` with the alembic.ini of a folder."""
    return _run([sys.executable, "-m", "alembic", "-c", str(folder / "alembic.ini"), *arguments], env, None)


def succeeded(finished: Finished) -> str:
    """Return what a process printed, which must have ended well."""
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def refusal_of(finished: Finished, *, status: int = 2) -> str:
    """Return the one sentence with which a command refused."""
    assert finished.returncode == status, finished.stdout + finished.stderr
    assert "Traceback" not in finished.stdout + finished.stderr
    lines = finished.stderr.splitlines()
    assert len(lines) == 1, finished.stderr
    assert finished.stdout == ""
    assert lines[0].startswith("leasehold: ")
    sentence = lines[0].removeprefix("leasehold: ")
    assert sentence[0].isupper()
    assert sentence.endswith("."), sentence
    return sentence


def settings_of(printed: str) -> dict[str, str]:
    """Return the `NAME=value` lines that a command printed."""
    pairs = [line.partition("=") for line in printed.splitlines()]
    return {name: value for name, _, value in pairs if name.startswith(("LEASEHOLD_", "client_"))}


def free_port() -> int:
    """Return a port on which nothing listens, and that nobody is given until this process ends.

    It stays bound, so the kernel hands it out to no other; a server that asks for SO_REUSEADDR, as all of ours do, can
    listen there all the same.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.detach()
        return port


class Running:
    """A command that serves: what it printed, and how it ended."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self.process = process
        self._output = output
        self._errors = errors

    @property
    def printed(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    @property
    def complained(self) -> str:
        """What it has printed as errors so far."""
        return self._errors.read_text()

    def wait_for(self, is_there: Callable[[], bool], *, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until something is so; the test fails when the process ends before."""
        deadline = time.monotonic() + timeout_s
        while not is_there():
            assert self.process.poll() is None, self.printed + self.complained
            assert time.monotonic() < deadline, self.printed + self.complained
            time.sleep(0.05)

    def end(self, by: signal.Signals, *, whole_group: bool = False, times: int = 1) -> int:
        """Send a signal, to the whole group as a terminal does or to the process alone, and return the exit status."""
        for _ in range(times):
            (os.killpg if whole_group else os.kill)(self.process.pid, by)
        return self.process.wait(60)


@contextmanager
def running(*arguments: str | Path, env: Environment, folder: Path) -> Iterator[Running]:
    """Start `leasehold` in a session of its own; whatever of it is left at the end is killed."""
    output, errors = folder / "output", folder / "errors"
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "leasehold", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=_environment(env),
            cwd=folder,
            start_new_session=True,
        )
        try:
            yield Running(process, output, errors)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)


def members_of(session: int) -> list[int]:
    """Return the live processes of a session."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def _run(command: list[str], env: Environment | None, text: str | None) -> Finished:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        timeout=TIMEOUT_S,
        env=_environment(env or {}),
        cwd=PROJECT,
        check=False,
    )


def _environment(env: Environment) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LEASEHOLD_", "PYTEST_"))}
    return inherited | {"PYTHONUNBUFFERED": "1", "LEASEHOLD_DRAIN_S": "0"} | dict(env)
