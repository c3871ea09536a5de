"""Which tenant a request is for: Host, `X-Tenant` and credential, and all that are present must agree."""

from functools import lru_cache
from uuid import UUID

from leasehold.core.errors import Forbidden
from leasehold.tenancy.context import TenantInMaintenance, TenantRef, TenantState, UnknownTenant
from leasehold.tenancy.directory import TenantDirectory
from leasehold.tenancy.window import RevisionWindow

_LONGEST_HOST = 300
"""253 letters (RFC 1035, section 2.3.4), a port, and what a proxy may put around."""

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class TenantSuspended(Forbidden):
    """This tenant is suspended."""

    type = "tenant-suspended"
    title = "Tenant suspended"


class TenantMismatch(Forbidden):
    """Host, X-Tenant header and credential name different tenants."""

    type = "tenant-mismatch"
    title = "Tenant mismatch"


def hostname_of(host_header: str) -> str:
    """Return the host of a `Host` header in lower case, without port, brackets and trailing dot."""
    # What is longer than any host is not remembered as it was sent: 10,000 of those would take 600 MB.
    return _hostname_of(host_header[:_LONGEST_HOST])


@lru_cache(maxsize=10_000)
def _hostname_of(host_header: str) -> str:
    host = host_header.strip().lower()
    host = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    return host.rstrip(".")


def is_base_host(host: str, *, base_domain: str) -> bool:
    """Tell whether a host names the installation itself rather than one tenant."""
    return host == base_domain or host in _LOOPBACK_HOSTS


def resolve_tenant(
    directory: TenantDirectory,
    *,
    host: str,
    base_domain: str,
    header: str | None,
    credential_tenant: UUID | None,
    window: RevisionWindow,
) -> TenantRef | None:
    """Return the tenant of a request, or None where nothing names one.

    Raises:
        DirectoryStale: the directory is too old to be trusted.
        UnknownTenant: something names a tenant that does not exist, or no longer.
        TenantMismatch: two of the three name different tenants.
        TenantSuspended: the tenant is suspended.
        TenantInMaintenance: the tenant is in maintenance, and cannot even be read.
        TenantNotMigrated: this code cannot serve the revision of its schema.
    """
    directory.demand_fresh()
    named: list[TenantRef | None] = []
    if not is_base_host(host, base_domain=base_domain):
        named.append(_by_host(directory, host, base_domain))
    if header is not None:
        named.append(directory.by_slug(header.strip().lower()))
    if credential_tenant is not None:
        named.append(directory.by_id(credential_tenant))
    if not named:
        return None
    tenant = named[0]
    if tenant is None or None in named:
        directory.misses += 1
        raise UnknownTenant
    directory.hits += 1
    if any(other is not tenant for other in named):
        raise TenantMismatch
    if tenant.state is TenantState.SUSPENDED:
        raise TenantSuspended
    if tenant.state is TenantState.MAINTENANCE:
        if not tenant.is_read_only:
            raise TenantInMaintenance(tenant.maintenance)
    elif tenant.state is not TenantState.ACTIVE:
        raise UnknownTenant
    window.demand(tenant)
    return tenant


def moved_tenant(
    directory: TenantDirectory, *, host: str, base_domain: str, window: RevisionWindow
) -> TenantRef | None:
    """Return the tenant whose slug a host named until lately, None where it names another, or nobody.

    Raises:
        Problem: a request for that tenant would be refused where it is now; see `resolve_tenant`.
    """
    slug, _, parent = host.partition(".")
    tenant = directory.by_former_slug(slug) if parent == base_domain else None
    if tenant is None:
        return None
    return resolve_tenant(
        directory, host=base_domain, base_domain=base_domain, header=None, credential_tenant=tenant.id, window=window
    )


def _by_host(directory: TenantDirectory, host: str, base_domain: str) -> TenantRef | None:
    slug, dot, parent = host.partition(".")
    if dot and parent == base_domain:
        return directory.by_slug(slug)
    return directory.by_hostname(host)
