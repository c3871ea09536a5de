"""How the registry is read and written on behalf of an admin."""

from leasehold.core.repository import KeysetRepository
from leasehold.tenancy.registry import Tenant, TenantDomain


class TenantRepository(KeysetRepository[Tenant]):
    """The tenants of the platform."""

    model_type = Tenant


class TenantDomainRepository(KeysetRepository[TenantDomain]):
    """The custom domains of the tenants."""

    model_type = TenantDomain
