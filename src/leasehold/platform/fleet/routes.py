"""`/platform/v1/fleet`."""

from uuid import UUID

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from leasehold.core.database import PlatformSession
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.platform.fleet.schemas import FleetStatus, Run, RunResult
from leasehold.platform.fleet.service import FleetService
from leasehold.tenancy.window import RevisionWindow

READ = ("platform:fleet:read",)


def provide_fleet(session: NamedDependency[PlatformSession], window: NamedDependency[RevisionWindow]) -> FleetService:
    """Return the service on the session of the request."""
    return FleetService(session, head=window.head)


@get("/", operation_id="getFleet", summary="Get the state of the fleet", scopes=READ)
async def get_fleet(fleet: NamedDependency[FleetService]) -> FleetStatus:
    """Return where the schemas of all tenants stand, and which failed."""
    return await fleet.status()


@get("/runs", operation_id="listRuns", summary="List runs over the fleet", scopes=READ)
async def list_runs(
    fleet: NamedDependency[FleetService],
    cursors: NamedDependency[Cursors],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Run]:
    """Return one page of runs, the latest first."""
    return await fleet.runs(Pager(cursors, limit, cursor))


@get("/runs/{run_id:uuid}", operation_id="getRun", summary="Get a run", scopes=READ)
async def get_run(run_id: FromPath[UUID], fleet: NamedDependency[FleetService]) -> Run:
    """Return one run."""
    return await fleet.run(run_id)


@get("/runs/{run_id:uuid}/results", operation_id="listRunResults", summary="List what a run came to", scopes=READ)
async def list_results(
    run_id: FromPath[UUID],
    fleet: NamedDependency[FleetService],
    cursors: NamedDependency[Cursors],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[RunResult]:
    """Return one page of results, in the order the tenants were done."""
    return await fleet.results(run_id, Pager(cursors, limit, cursor))


router = Router(
    "/fleet",
    route_handlers=[get_fleet, list_runs, get_run, list_results],
    dependencies={"fleet": Provide(provide_fleet, sync_to_thread=False)},
    tags=["fleet"],
)
