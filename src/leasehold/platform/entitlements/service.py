"""What an admin decides for one tenant. It is obeyed by every process within a second."""

from uuid import UUID

from msgspec import UNSET

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import FieldError, Invalid, NotFound
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.platform.entitlements.schemas import EntitlementsPatch, TenantEntitlements
from leasehold.platform.plans.repository import PlanRepository
from leasehold.platform.plans.schemas import Terms
from leasehold.platform.plans.terms import apply_terms, check_terms
from leasehold.platform.tenants.repository import TenantRepository
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.entitlements import Catalogue, Rates
from leasehold.tenancy.plans import Plan
from leasehold.tenancy.registry import Tenant, announce_tenant, laid_over
from leasehold.tenancy.states import LIVING, NOBODY, demand_state

_ACTIONS = {
    "limits": "tenant.limits_changed",
    "features": "tenant.features_changed",
    "rate_limits": "tenant.rate_limits_changed",
}


class UnknownPlan(Invalid):
    """There is no plan {name}."""

    type = "unknown-plan"
    title = "Unknown plan"

    def __init__(self, name: str) -> None:
        super().__init__(name=name, errors=[FieldError("/plan", "is the name of no plan")])


class EntitlementService:
    """What tenants may have, for one unit of work."""

    def __init__(self, session: PlatformSession, catalogue: Catalogue) -> None:
        self._session = session
        self._catalogue = catalogue
        self._tenants = TenantRepository(session=session)
        self._plans = PlanRepository(session=session)

    async def of(self, tenant_id: UUID) -> TenantEntitlements:
        """Return what a tenant may have.

        Raises:
            NotFound: there is none with this id.
        """
        tenant = await self._tenants.get_one_or_none(id=tenant_id)
        if tenant is None or tenant.state in NOBODY:
            raise NotFound
        return self._described(tenant, await self._plans.get_one(name=tenant.plan))

    async def change(
        self, tenant_id: UUID, patch: EntitlementsPatch, *, precondition: Precondition = ANYTHING, by: Actor
    ) -> TenantEntitlements:
        """Put a tenant on a plan, or decide something for it alone. Nothing is taken from it that it has by now.

        Raises:
            NotFound: there is none with this id.
            PreconditionFailed, InvalidIfMatch: see `Precondition.demand`.
            InvalidTerms: see `check_terms`.
            UnknownPlan: there is no such plan.
            WrongTenantState: the tenant is deleted.
        """
        check_terms(patch, self._catalogue)
        tenant = await self._tenants.locked(tenant_id)
        decided = TenantEntitlements(tenant.id, tenant.plan, _own(tenant), limits={}, features={}, rate_limits={})
        precondition.demand(decided, TenantEntitlements.tagged_by)
        demand_state(tenant, *LIVING)
        name = tenant.plan if patch.plan is UNSET else patch.plan
        plan = await self._plans.kept(name)
        if plan is None:
            raise UnknownPlan(name)
        before, tenant.plan = tenant.plan, name
        changed = apply_terms(tenant, patch)
        if before != name:
            tenant.terms_version += 1
        await self._session.flush()
        log = AuditLog(self._session, by)
        if before != name:
            await log.record_to(tenant_id, "tenant.plan_changed", changes={"plan": {"from": before, "to": name}})
        for kind, changes in changed.items():
            await log.record_to(tenant_id, _ACTIONS[kind], changes=changes)
        if before != name or changed:
            await announce_tenant(self._session, tenant_id)
        return self._described(tenant, plan)

    def _described(self, tenant: Tenant, plan: Plan) -> TenantEntitlements:
        holds = laid_over(plan, tenant)
        return TenantEntitlements(
            tenant_id=tenant.id,
            plan=plan.name,
            own=_own(tenant),
            limits=self._catalogue.limits_of(holds),
            features=self._catalogue.features_of(holds),
            rate_limits=(holds.rates or Rates())._asdict(),
        )


def _own(tenant: Tenant) -> Terms:
    return Terms(tenant.limits, tenant.features, tenant.rate_limits)
