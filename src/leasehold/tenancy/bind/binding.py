"""What binds a transaction to a tenant, as SQL."""

from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.names import quoted


def binding_sql(tenant: TenantRef, *, tenant_roles: bool) -> str:
    """Return the statements that put a transaction on one tenant: its schema before pg_temp, and its role.

    With pg_temp named and last, a temporary table cannot shadow a tenant's table.
    """
    path = f"SET LOCAL search_path = {quoted(tenant.schema)}, pg_temp"
    return f"{path}; SET LOCAL ROLE {quoted(tenant.role)}" if tenant_roles else path
