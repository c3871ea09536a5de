"""What an operator runs: two servers behind a balancer and a worker, each a process with settings of its own."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from faults.supervised import Supervised
from tests.faults.balancer import Balancer, balancing
from tests.integration.cli.shell import free_port

SERVERS = 2
_WITHIN_S = 180


@dataclass(slots=True)
class Deployment:
    """Processes on one installation."""

    environment: Mapping[str, str]
    folder: Path
    servers: list[Supervised] = field(default_factory=list[Supervised])
    addresses: list[str] = field(default_factory=list[str])
    workers: list[Supervised] = field(default_factory=list[Supervised])
    balancer: Balancer = field(default_factory=lambda: Balancer(()))
    statuses: list[int | None] = field(default_factory=list[int | None])
    """How all processes ended that were told to stop."""

    @property
    def temporary(self) -> Path:
        """Where processes keep temporary files."""
        return self.folder / "temporary"

    @property
    def processes(self) -> list[Supervised]:
        """Everything that runs."""
        return [*self.servers, *self.workers]

    def log(self) -> str:
        """Return what all processes have printed."""
        return "".join(file.read_text(errors="replace") for file in sorted(self.folder.glob("*.log")))

    def server(self, number: int) -> Supervised:
        """Return a server that is not started yet."""
        port = free_port()
        self.addresses.append(f"http://127.0.0.1:{port}")
        environment = {**self.environment, "LEASEHOLD_PORT": str(port), "TMPDIR": str(self.temporary)}
        made = Supervised("leasehold", "serve", environment=environment, log=self.folder / f"server-{number}.log")
        self.servers.append(made)
        return made

    def worker(self, number: int) -> Supervised:
        """Return a worker that is not started yet."""
        environment = {**self.environment, "LEASEHOLD_WORKER_PORT": "0", "TMPDIR": str(self.temporary)}
        made = Supervised("leasehold", "worker", environment=environment, log=self.folder / f"worker-{number}.log")
        self.workers.append(made)
        return made

    async def stop(self) -> None:
        """Tell everything to stop, and note how it ended."""
        self.statuses = list(await asyncio.gather(*(one.stop() for one in self.processes)))


@asynccontextmanager
async def deployed(environment: Mapping[str, str], folder: Path, *, workers: int = 1) -> AsyncGenerator[Deployment]:
    """Start everything, and wait until the servers are ready; whatever is left at the end is killed."""
    deployment = Deployment(environment, folder)
    deployment.temporary.mkdir()
    made = [deployment.server(number) for number in range(SERVERS)]
    made += [deployment.worker(number) for number in range(workers)]
    async with AsyncExitStack() as stack:
        for one in made:
            stack.callback(one.sweep)
            stack.push_async_callback(one.stop)
        for one in made:
            await one.start()
        deployment.balancer = await stack.enter_async_context(balancing(*deployment.addresses))
        async with asyncio.timeout(_WITHIN_S):
            while len(deployment.balancer.ready) < SERVERS:
                await asyncio.sleep(0.05)
        yield deployment
