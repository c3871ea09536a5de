"""Whether the process lives, and whether it can serve."""

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from msgspec import Struct

from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.stopping import ProcessStopping
from leasehold.process import Process
from leasehold.tenancy.directory import DirectoryStale
from leasehold.tenancy.readiness import PlatformNotMigrated, demand_ready


class Health(Struct):
    """An answer to a probe."""

    status: str


def health_router(process: Process) -> Router:
    """Return the routes of `/health`."""

    @get("/live", operation_id="isLive", summary="Does the process live", is_public=True, sync_to_thread=False)
    def live() -> Health:
        """Answer without asking anything else."""
        return Health("live")

    @get(
        "/ready",
        operation_id="isReady",
        summary="Can the process serve",
        problems=(DatabaseUnavailable, DirectoryStale, PlatformNotMigrated, ProcessStopping),
        is_public=True,
    )
    async def ready(process: NamedDependency[Process]) -> Health:
        """Answer 503 unless the database answers, holds the platform's revision, and the directory is fresh.

        And from when the process is told to stop: load balancers are to send nothing more, though it is still served.
        """
        process.stopping.demand_distant()
        process.directory.demand_fresh()
        await demand_ready(process.database, process.outdated_revisions)
        return Health("ready")

    return Router(
        "/health",
        route_handlers=[live, ready],
        dependencies={"process": Provide(lambda: process, sync_to_thread=False)},
        tags=["health"],
    )
