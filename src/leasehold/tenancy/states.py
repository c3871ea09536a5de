"""The states of a tenant, and which of them may follow which."""

from collections.abc import Mapping

from leasehold.core.errors import WrongState
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.registry import Tenant

# Suspension and maintenance do not follow each other: of two admins who want one each, one shall learn of the other.
_NEXT: Mapping[TenantState, frozenset[TenantState]] = {
    TenantState.VACANT: frozenset({TenantState.ACTIVE}),
    TenantState.ACTIVE: frozenset({TenantState.SUSPENDED, TenantState.MAINTENANCE, TenantState.DELETED}),
    TenantState.SUSPENDED: frozenset({TenantState.ACTIVE, TenantState.DELETED}),
    TenantState.MAINTENANCE: frozenset({TenantState.ACTIVE, TenantState.DELETED}),
    TenantState.DELETED: frozenset(
        {TenantState.ACTIVE, TenantState.SUSPENDED, TenantState.MAINTENANCE, TenantState.PURGING}
    ),
    TenantState.PURGING: frozenset({TenantState.PURGED}),
    TenantState.PURGED: frozenset(),
    TenantState.SET_ASIDE: frozenset({TenantState.PURGING}),
}
LIVING = (TenantState.ACTIVE, TenantState.SUSPENDED, TenantState.MAINTENANCE)
"""Those of a tenant that has customers."""
NOBODY = (TenantState.VACANT, TenantState.SET_ASIDE)
"""Those of a row behind which no customer stands, not even one that has gone."""


class WrongTenantState(WrongState):
    """The tenant is {state}; that cannot be done with it now."""


def demand_state(tenant: Tenant, *allowed: TenantState) -> None:
    """Pass if a tenant, which nobody else changes meanwhile, is in one of these states.

    Raises:
        WrongTenantState: it is not.
    """
    if tenant.state not in allowed:
        raise WrongTenantState(state=tenant.state)


def move(tenant: Tenant, state: TenantState) -> bool:
    """Move a tenant, which nobody else changes meanwhile, into a state; return whether it was in another one.

    Raises:
        WrongTenantState: that cannot follow the state in which it is.
    """
    before = TenantState(tenant.state)
    if before is state:
        return False
    if state not in _NEXT[before]:
        raise WrongTenantState(state=before)
    tenant.state = state
    return True
