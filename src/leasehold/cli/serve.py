"""`leasehold serve`: the production form."""

import asyncio

import click
from rich_click import RichCommand

from leasehold.cli.serving import PortTaken, demand_free_port, demand_real_secrets, run_server
from leasehold.config import Settings
from leasehold.core.budget import connection_budget
from leasehold.core.log import configure_logging
from leasehold.main import build_process, closing, ensure_signing_key
from leasehold.observe.traces import demand_traces
from leasehold.tenancy.readiness import demand_connections, demand_ready


@click.command(cls=RichCommand)
def serve() -> None:
    """Serve the API with the settings of the environment; for production."""
    settings = Settings()  # pyright: ignore[reportCallIssue]
    # The workers, which are forked from here, have a configuration of their own.
    configure_logging(level=settings.log_level, form=settings.log_format, is_final=False)
    demand_real_secrets(settings)
    demand_traces(settings)
    demand_free_port(settings.host, settings.port)
    if settings.metrics_port:
        if settings.metrics_port == settings.port:
            raise PortTaken(settings.host, settings.port, "LEASEHOLD_PORT and LEASEHOLD_METRICS_PORT are the same")
        demand_free_port(settings.host, settings.metrics_port)
    asyncio.run(_demand_database(settings))
    run_server(settings)


async def _demand_database(settings: Settings) -> None:
    process = build_process(settings)
    async with closing(process):
        await demand_ready(process.database, process.outdated_revisions)
        await ensure_signing_key(process)
        if settings.direct_url == settings.database_url:
            budget = connection_budget(
                pool_size=settings.pool_size,
                workers=settings.workers,
                has_quotas=settings.rate_limit_store == "postgresql",
            )
            await demand_connections(process.database, budget)
