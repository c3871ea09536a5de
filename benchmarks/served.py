"""A fresh installation, served by `leasehold up` as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import httpx

READY_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Served:
    """Where it answers, and its demo's credentials."""

    address: str
    admin_token: str
    clients: dict[str, dict[str, Any]]

    async def token(self, client: httpx.AsyncClient, slug: str) -> str:
        """Return an access token of a demo tenant's API client."""
        known = self.clients[slug]
        form = {name: known[name] for name in ("client_id", "client_secret")} | {"grant_type": "client_credentials"}
        answer = await client.post("/oauth/token", headers={"X-Tenant": slug}, data=form)
        return answer.raise_for_status().json()["access_token"]


@contextmanager
def serve(folder: Path) -> Generator[Served]:
    """Start an installation in a folder and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "leasehold", "up", "--port", str(port), "--data-dir", str(folder)]
    environment = os.environ | {"LEASEHOLD_LOG_FORMAT": "json"}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, process)
        demo = json.loads((folder / "demo.json").read_text())
        yield Served(address, demo["admin_token"], demo["clients"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"{address}/health/ready", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("the installation did not get ready")
