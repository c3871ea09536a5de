"""`/platform/v1/plans`."""

from typing import Annotated

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody, PathParameter

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import Invalid
from leasehold.core.listing.asked import Asked
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.preconditions import Precondition
from leasehold.platform.plans.repository import PLANS
from leasehold.platform.plans.schemas import LONGEST_NAME, Plan, PlanCreate, TermsPatch
from leasehold.platform.plans.service import PlanInUse, PlanNameTaken, PlanService
from leasehold.tenancy.entitlements import Catalogue

Name = Annotated[str, PathParameter(max_length=LONGEST_NAME)]
READ, WRITE = ("platform:plans:read",), ("platform:plans:write",)


def provide_plans(session: NamedDependency[PlatformSession], catalogue: NamedDependency[Catalogue]) -> PlanService:
    """Return the service on the session of the request."""
    return PlanService(session, catalogue)


@get("/", operation_id="listPlans", summary="List plans", lists=PLANS, scopes=READ)
async def list_plans(
    plans: NamedDependency[PlanService],
    cursors: NamedDependency[Cursors],
    asked: NamedDependency[Asked],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Plan]:
    """Return one page of plans in the order they were made, or another."""
    return await plans.page(Pager(cursors, limit, cursor), asked)


@post("/", operation_id="createPlan", summary="Create a plan", problems=(PlanNameTaken,), scopes=WRITE)
async def create_plan(
    data: JSONBody[PlanCreate], plans: NamedDependency[PlanService], actor: NamedDependency[Actor]
) -> Plan:
    """Make a plan, which no tenant is on yet."""
    return await plans.create(data, by=actor)


@get("/{plan_name:str}", operation_id="getPlan", summary="Get a plan", problems=(Invalid,), scopes=READ)
async def get_plan(plan_name: Name, plans: NamedDependency[PlanService]) -> Plan:
    """Return one plan."""
    return await plans.find(plan_name)


@patch("/{plan_name:str}", operation_id="updatePlan", summary="Change a plan", scopes=WRITE)
async def update_plan(
    plan_name: Name,
    data: JSONBody[TermsPatch],
    plans: NamedDependency[PlanService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> Plan:
    """Change what all tenants of a plan may have, within a second; what they have already stays."""
    return await plans.change(plan_name, data, precondition=precondition, by=actor)


@delete("/{plan_name:str}", operation_id="deletePlan", summary="Delete a plan", problems=(PlanInUse,), scopes=WRITE)
async def delete_plan(
    plan_name: Name,
    plans: NamedDependency[PlanService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> None:
    """Delete a plan that no tenant is on."""
    await plans.remove(plan_name, precondition=precondition, by=actor)


router = Router(
    "/plans",
    route_handlers=[list_plans, create_plan, get_plan, update_plan, delete_plan],
    dependencies={"plans": Provide(provide_plans, sync_to_thread=False)},
    tags=["plans"],
)
