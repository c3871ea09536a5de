"""Starts the servers that are compared, each a program of its own on the servers' core, and stops them again."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.installation import Installation, clean_environment
from benchmarks.machine import family, pinned
from benchmarks.peers import BENCH_PYTHON, ROOT, Peer

_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 10.0


class NotServing(RuntimeError):
    """The server {name} did not start; the end of its output: {output}."""

    def __init__(self, name: str, log: Path) -> None:
        output = log.read_text(errors="replace")[-2000:]
        super().__init__((self.__doc__ or "").format(name=name, output=output))


@dataclass(frozen=True, slots=True)
class Server:
    """A peer that serves."""

    peer: Peer
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pids(self) -> list[int]:
        """Return its processes, workers included."""
        return family(self.process.pid)


@contextmanager
def serving(
    peers: Sequence[Peer], installed: Installation, *, folder: Path, cores: set[int], pool: int
) -> Generator[list[Server]]:
    """Start all peers at once and wait until each one listens.

    Raises:
        NotServing: one of them ended, or does not listen within a minute.
    """
    with ExitStack() as stack:
        servers: list[Server] = []
        for peer in peers:
            servers.append(_start(peer, installed, folder=folder, cores=cores, pool=pool))
            stack.callback(_stop, servers[-1].process)
        for server in servers:
            _wait(server)
        yield servers


def _start(peer: Peer, installed: Installation, *, folder: Path, cores: set[int], pool: int) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = installed.app_url if peer.login == "app" else installed.owner_url
    ours = {"BENCH_DATABASE_URL": url, "BENCH_POOL": str(pool)}
    if peer.name.startswith("leasehold"):
        ours = {**installed.settings, **peer.settings, "LEASEHOLD_PORT": str(port)}
    environment = clean_environment() | ours
    if peer.name == "django_tenants":
        prepare = [str(BENCH_PYTHON), "-m", "benchmarks.peers.django_peer.prepare"]
        subprocess.run(prepare, cwd=ROOT, env=environment, check=True)
    log = folder / f"{peer.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            peer.command(port, pool),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=pinned(cores),
        )
    return Server(peer, port, process, log)


def _wait(server: Server) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise NotServing(server.peer.name, server.log)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_WITHIN_S)
