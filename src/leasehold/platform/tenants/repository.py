"""How the registry is read and written on behalf of an admin."""

from uuid import UUID

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
        "created_at": Between(Tenant.created_at),
        "updated_at": Between(Tenant.updated_at),
    },
    search=SEARCHED,
)


DOMAINS = Listing(TenantDomain, schemas.Domain, filters={"tenant_id": Equal(TenantDomain.tenant_id, UUID)})


class TenantRepository(KeysetRepository[Tenant]):
    """The tenants of the platform."""

    model_type = Tenant


class TenantDomainRepository(KeysetRepository[TenantDomain]):
    """The custom domains of the tenants."""

    model_type = TenantDomain
