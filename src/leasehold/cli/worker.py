"""`leasehold worker`: runs jobs, in production."""

import asyncio
import signal

import click
import uvloop
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from rich_click import RichCommand

from leasehold.cli.installation import installation
from leasehold.cli.serving import demand_free_port
from leasehold.config import Settings
from leasehold.core.budget import worker_budget
from leasehold.core.log import configure_logging
from leasehold.main import build_process, collecting_less, flushing, running
from leasehold.observe.traces import open_spans
from leasehold.tenancy.readiness import demand_connections, demand_ready
from leasehold.worker.health import health_app
from leasehold.worker.running import build_worker


@click.command(cls=RichCommand)
@click.option("--jobs", type=click.IntRange(2, 200), help="Jobs at once; LEASEHOLD_WORKER_JOBS if missing.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of health and metrics; LEASEHOLD_WORKER_PORT if missing."
)
def worker(jobs: int | None, port: int | None) -> None:
    """Run jobs until SIGINT or SIGTERM; running ones get LEASEHOLD_WORKER_GRACE_S seconds to end."""
    with installation() as settings:
        configure_logging(level=settings.log_level, form=settings.log_format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(
                _work(
                    settings,
                    places=settings.worker_jobs if jobs is None else jobs,
                    port=settings.worker_port if port is None else port,
                )
            )


async def _work(settings: Settings, *, places: int, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if port:
        demand_free_port(settings.host, port)
    budget = worker_budget(jobs=places)
    process = build_process(settings, budget=budget, spans=open_spans(settings))
    await demand_ready(process.database, process.outdated_revisions)
    if settings.direct_url == settings.database_url:
        await demand_connections(process.database, budget)
    async with running(process), flushing(process), collecting_less():
        work = build_worker(process, places=places)
        if not port:
            await work.run(stop)
            return
        health = Server(
            health_app(work, process),
            address=settings.host,
            port=port,
            interface=Interfaces.ASGI,
            log_level=LogLevels.error,  # it warns of itself, in a line that is no event of the log
        )
        serving = asyncio.create_task(health.serve())
        try:
            await work.run(stop)
        finally:
            health.stop()
            await serving
