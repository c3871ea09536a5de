"""How the registry is read and written on behalf of an admin."""

from leasehold.core.listing.filters import Between, Equal
from leasehold.core.listing.listing import Listing
from leasehold.core.repository import KeysetRepository
from leasehold.platform.tenants import schemas
from leasehold.tenancy.registry import SEARCHED, Tenant, TenantDomain

TENANTS = Listing(
    Tenant,
    schemas.Tenant,
    sorts={"slug": Tenant.slug},
    filters={
        "slug": Equal(Tenant.slug, str),
        "state": Equal(Tenant.state, schemas.State),
        "is_canary": Equal(Tenant.is_canary, bool),
        "plan": Equal(Tenant.plan, str),
        "deletion_requested_at": Between(Tenant.deletion_requested_at),
        "created_at": Between(Tenant.created_at),
        "updated_at": Between(Tenant.updated_at),
    },
    search=SEARCHED,
)


class TenantRepository(KeysetRepository[Tenant]):
    """The tenants of the platform."""

    model_type = Tenant


class TenantDomainRepository(KeysetRepository[TenantDomain]):
    """The custom domains of the tenants."""

    model_type = TenantDomain
