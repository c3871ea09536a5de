"""Runs `leasehold serve` on the database of the tests, as a process of its own that faults may be done to."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import httpx

from leasehold.config import Settings
from tests.integration.cli.shell import free_port

_NONE: Mapping[str, str] = {}
_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")


@asynccontextmanager
async def served(
    settings: Settings,
    *,
    listen: bool = True,
    port: int | None = None,
    output: IO[bytes] | None = None,
    others: Mapping[str, str] = _NONE,
    **changes: str,
) -> AsyncGenerator[str]:
    """Run the server and yield its address; `changes` are settings as the environment has them, `others` not ours."""
    async with _started(settings, listen=listen, port=port, output=output, others=others, **changes) as started:
        address, process = started
        try:
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                assert await process.wait() == 0


@asynccontextmanager
async def doomed(settings: Settings, **changes: str) -> AsyncGenerator[tuple[str, Callable[[], None]]]:
    """Run the server and yield its address, and what kills it, parent and worker at once. Somebody must have."""
    async with _started(settings, listen=True, **changes) as (address, process):
        yield address, lambda: os.killpg(process.pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            assert await process.wait() == -signal.SIGKILL


@asynccontextmanager
async def measured(settings: Settings, **changes: str) -> AsyncGenerator[tuple[str, "Memory"]]:
    """Run the server and yield its address, and what it takes of memory."""
    async with _started(settings, listen=True, **changes) as (address, process):
        try:
            yield address, Memory(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                assert await process.wait() == 0


class Memory:
    """The memory of all processes of a process group, as Linux tells it (proc(5))."""

    def __init__(self, group: int) -> None:
        self._group = group

    def forget_peak(self) -> None:
        """Begin to look for the peak anew."""
        for process in self._processes():
            (process / "clear_refs").write_text("5")

    def peak_mib(self) -> float:
        """Return the most that there was at once, since it was last forgotten."""
        fields = [line.split() for one in self._processes() for line in (one / "status").read_text().splitlines()]
        peaks = [int(field[1]) for field in fields if field[0] == "VmHWM:"]
        assert peaks
        return sum(peaks) / 1024

    def _processes(self) -> list[Path]:
        found = [one for one in Path("/proc").iterdir() if one.name.isdigit() and self._is_of_group(one)]
        assert found
        return found

    def _is_of_group(self, process: Path) -> bool:
        with suppress(OSError):
            return int((process / "stat").read_text().rpartition(")")[2].split()[2]) == self._group
        return False


@asynccontextmanager
async def _started(
    settings: Settings,
    *,
    listen: bool,
    port: int | None = None,
    output: IO[bytes] | None = None,
    others: Mapping[str, str] = _NONE,
    **changes: str,
) -> AsyncGenerator[tuple[str, asyncio.subprocess.Process]]:
    """Run the server in a process group of its own; whatever is left of it at the end is killed."""
    port = port or free_port()
    environment = {f"LEASEHOLD_{name.upper()}": getattr(settings, name).get_secret_value() for name in _SECRETS}
    environment |= {
        "LEASEHOLD_PORT": str(port),
        "LEASEHOLD_BASE_DOMAIN": settings.base_domain,
        "LEASEHOLD_ISSUER": settings.issuer,
        "LEASEHOLD_LOG_LEVEL": "error",
        "LEASEHOLD_DRAIN_S": "0",
        "LEASEHOLD_VACANCIES": "0",  # or a worker in it makes some whenever a minute begins
        "LEASEHOLD_PREPARED_STATEMENTS": str(settings.prepared_statements),
        **others,
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
    }
    environment |= {f"LEASEHOLD_{name.upper()}": value for name, value in changes.items()}
    if not listen:
        del environment["LEASEHOLD_DIRECT_URL"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "leasehold",
        "serve",
        env=environment,
        start_new_session=True,
        stdout=output,
        stderr=output,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient() as client, asyncio.timeout(120):  # much starts at once in some tests
            while not await _answers(client, f"{address}/health/ready"):
                await asyncio.sleep(0.05)
        yield address, process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False
