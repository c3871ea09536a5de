"""The servers that are compared. Each does the same work: one item, a page of 20, a new item, of the host's tenant.

None of the peers checks a token, writes an access log or answers problems as Leasehold does.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"

Command = Callable[[int, int], list[str]]
"""Takes a port and a number of connections to the database, and returns the command that serves with them."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One server: how it is called and started, and as which login."""

    name: str
    title: str
    command: Command
    login: str = "owner"
    needs_environment: bool = False
    """Whether it needs packages that the project does not have."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of Leasehold, that differ from those of production."""


def _asgi(module: str, python: str = sys.executable) -> Command:
    options = ["--interface", "asgi", "--loop", "uvloop", "--no-ws", "--workers", "1", "--log-level", "warning"]
    return lambda port, _pool: [
        python,
        "-m",
        "granian",
        *options,
        "--port",
        str(port),
        f"benchmarks.peers.{module}:app",
    ]


def _leasehold(_port: int, _pool: int) -> list[str]:
    return [sys.executable, "-m", "leasehold", "serve"]


def _django(port: int, pool: int) -> list[str]:
    threads = ["-k", "gthread", "--workers", "1", "--threads", str(pool)]
    address = ["--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    return [str(BENCH_PYTHON), "-m", "gunicorn", *threads, *address, "benchmarks.peers.django_peer.wsgi:application"]


PEERS = (
    Peer("leasehold", "Leasehold, all of it", _leasehold, login="app"),
    Peer("l1", "L1: raw ASGI + asyncpg, qualified names", _asgi("l1")),
    Peer("l1b", "L1b: raw ASGI + asyncpg, bound transaction", _asgi("l1b"), login="app"),
    Peer("litestar_usual", "Litestar + Advanced Alchemy, the usual way", _asgi("litestar_usual")),
    Peer(
        "fastapi_orm",
        "FastAPI + SQLAlchemy ORM, the usual way",
        _asgi("fastapi_orm", str(BENCH_PYTHON)),
        needs_environment=True,
    ),
    Peer("django_tenants", "django-tenants, the usual way", _django, needs_environment=True),
)
