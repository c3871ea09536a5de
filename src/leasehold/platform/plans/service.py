"""What an admin does with plans. A change is obeyed by every process within a second, for all tenants of the plan."""

from sqlalchemy.exc import IntegrityError

from leasehold.core.actor import Actor
from leasehold.core.changes import Changes, created
from leasehold.core.database import PlatformSession
from leasehold.core.errors import Conflict, FieldError, NotFound
from leasehold.core.listing.asked import PLAIN, Asked
from leasehold.core.pagination import Page, Pager
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.core.sqlstate import violated_constraint
from leasehold.platform.plans import schemas
from leasehold.platform.plans.repository import PLANS, PlanRepository
from leasehold.platform.plans.terms import apply_terms, check_terms
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.entitlements import DEFAULT_PLAN, Catalogue
from leasehold.tenancy.plans import Plan
from leasehold.tenancy.registry import announce_plan


class NoSuchPlan(NotFound):
    """There is no plan {name}."""


class PlanNameTaken(Conflict):
    """There is a plan of this name."""

    type = "plan-name-taken"
    title = "Plan name taken"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/name", "is taken")])


class PlanInUse(Conflict):
    """Tenants are on the plan {name}, or it is the one that new tenants get."""

    type = "plan-in-use"
    title = "Plan in use"


class PlanService:
    """The plans, for one unit of work."""

    def __init__(self, session: PlatformSession, catalogue: Catalogue) -> None:
        self._session = session
        self._catalogue = catalogue
        self._plans = PlanRepository(session=session)

    async def page(self, pager: Pager, asked: Asked = PLAIN) -> Page[schemas.Plan]:
        """Return one page of plans in the order they were made, or another.

        Raises:
            InvalidCursor: the cursor was issued for another list, order or filter.
        """
        return await PLANS.page_in(self._session, pager, asked)

    async def find(self, name: str) -> schemas.Plan:
        """Return a plan.

        Raises:
            NoSuchPlan: there is none of this name.
        """
        return _described(_found(await self._plans.named(name), name))

    async def create(self, data: schemas.PlanCreate, *, by: Actor) -> schemas.Plan:
        """Make a plan.

        Raises:
            InvalidTerms: see `check_terms`.
            PlanNameTaken: there is one of this name.
        """
        check_terms(data, self._catalogue)
        plan = Plan(name=data.name, limits={}, features={}, rate_limits={}, terms_version=0)
        changes = _told(plan, data)
        try:
            await self._plans.add(plan)
        except IntegrityError as error:
            if violated_constraint(error) == "uq_plans_name":
                raise PlanNameTaken from error
            raise
        await self._record("plan.created", plan, by, {**created(name=data.name), **changes})
        return _described(plan)

    async def change(
        self, name: str, patch: schemas.TermsPatch, *, precondition: Precondition = ANYTHING, by: Actor
    ) -> schemas.Plan:
        """Change what the tenants of a plan may have. Nothing is taken from those who have more by now.

        Raises:
            InvalidTerms: see `check_terms`.
            NoSuchPlan: there is none of this name.
            PreconditionFailed, InvalidIfMatch: see `Precondition.demand`.
        """
        check_terms(patch, self._catalogue)
        plan = await self._locked(name, precondition)
        changes = _told(plan, patch)
        if changes:
            await self._session.flush()
            await self._record("plan.changed", plan, by, changes)
            await announce_plan(self._session, plan.id)
        return _described(plan)

    async def remove(self, name: str, *, precondition: Precondition = ANYTHING, by: Actor) -> None:
        """Delete a plan that no tenant is on.

        Raises:
            NoSuchPlan: there is none of this name.
            PreconditionFailed, InvalidIfMatch: see `Precondition.demand`.
            PlanInUse: tenants are on it, or it is the default one.
        """
        plan = await self._locked(name, precondition)
        if name == DEFAULT_PLAN or await self._plans.is_used(name):
            raise PlanInUse(name=name)
        await self._session.delete(plan)
        await self._record("plan.deleted", plan, by, {"name": {"from": name, "to": None}})

    async def _locked(self, name: str, precondition: Precondition) -> Plan:
        plan = _found(await self._plans.locked(name), name)
        precondition.demand(plan, schemas.Plan.tagged_by)
        return plan

    async def _record(self, action: str, plan: Plan, by: Actor, changes: Changes) -> None:
        await AuditLog(self._session, by).record(action, ("plan", plan.id), changes=changes)


def _told(plan: Plan, patch: schemas.TermsPatch) -> Changes:
    """Apply a patch, and return what it changed as `limits.items`."""
    return {
        f"{kind}.{name}": change for kind, found in apply_terms(plan, patch).items() for name, change in found.items()
    }


def _found(plan: Plan | None, name: str) -> Plan:
    if plan is None:
        raise NoSuchPlan(name=name)
    return plan


def _described(plan: Plan) -> schemas.Plan:
    return schemas.Plan(*(getattr(plan, name) for name in schemas.Plan.__struct_fields__))
