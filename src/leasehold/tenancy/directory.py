"""The tenant directory: all tenants in the memory of the process, so that no request asks the registry.

It only holds and answers; `feed` fills it from the registry, and a test may fill it by hand.
"""

import math
import time
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from leasehold.core.errors import Unavailable
from leasehold.core.principal import Principal
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.credentials import KnownCredentials

REMEMBERED_SUBJECTS = 100_000
_Known = tuple[UUID | None, frozenset[str]]
_NONE: Mapping[str, float] = {}
_NAMELESS: tuple[Collection[str], Collection[str]] = ((), ())
_NOBODY: tuple[UUID | None, float] = (None, 0.0)


class DirectoryStale(Unavailable):
    """The tenant directory has not been confirmed for too long."""

    type = "directory-stale"


class TenantDirectory:
    """Finds tenants by id, slug and custom domain, and by the slugs that they had until lately."""

    def __init__(self, *, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._confirmed_at: float | None = None
        self._by_id: dict[UUID, TenantRef] = {}
        self._by_slug: dict[str, TenantRef] = {}
        self._by_hostname: dict[str, UUID] = {}
        self._by_former_slug: dict[str, tuple[UUID, float]] = {}
        # What led to each tenant when it was put here; some of it may be another's by now.
        self._names: dict[UUID, tuple[Collection[str], Collection[str]]] = {}
        self.hits = 0
        """How many requests have found their tenant here."""
        self.misses = 0
        """How many have named one that is not here."""

    @property
    def age_s(self) -> float:
        """Seconds since it was last confirmed, infinite before it first was."""
        return math.inf if self._confirmed_at is None else time.monotonic() - self._confirmed_at

    def __len__(self) -> int:
        return len(self._by_id)

    def by_id(self, tenant_id: UUID) -> TenantRef | None:
        """Return the tenant with this id."""
        return self._by_id.get(tenant_id)

    def by_slug(self, slug: str) -> TenantRef | None:
        """Return the tenant with this slug."""
        return self._by_slug.get(slug)

    def by_hostname(self, hostname: str) -> TenantRef | None:
        """Return the tenant on whose custom domain a request came in."""
        tenant_id = self._by_hostname.get(hostname)
        return self._by_id.get(tenant_id) if tenant_id else None

    def by_former_slug(self, slug: str) -> TenantRef | None:
        """Return the tenant that had this slug and keeps it for a while yet, None where another has it now."""
        tenant_id, until = self._by_former_slug.get(slug, _NOBODY)
        if tenant_id is None or slug in self._by_slug or time.monotonic() >= until:
            return None
        return self._by_id.get(tenant_id)

    def put(self, tenant: TenantRef, hostnames: Iterable[str] = (), former_slugs: Mapping[str, float] = _NONE) -> None:
        """Add a tenant, or replace all that is known of it.

        `former_slugs` are kept for it until a moment of the monotonic clock, in seconds.
        """
        self.remove(tenant.id)
        self._add(tenant, hostnames, former_slugs)

    def remove(self, tenant_id: UUID) -> None:
        """Forget a tenant; nothing happens if it was not known."""
        known = self._by_id.pop(tenant_id, None)
        if known and self._by_slug.get(known.slug) is known:
            del self._by_slug[known.slug]
        hostnames, former_slugs = self._names.pop(tenant_id, _NAMELESS)
        for hostname in hostnames:
            if self._by_hostname.get(hostname) == tenant_id:
                del self._by_hostname[hostname]
        for slug in former_slugs:
            if self._by_former_slug.get(slug, _NOBODY)[0] == tenant_id:
                del self._by_former_slug[slug]

    def replace_all(self, tenants: Collection[tuple[TenantRef, Iterable[str], Mapping[str, float]]]) -> None:
        """Forget everything and hold exactly these tenants, in one step that no request can see half done."""
        self._by_id, self._by_slug, self._by_hostname, self._by_former_slug = {}, {}, {}, {}
        self._names = {}
        for tenant, hostnames, former_slugs in tenants:
            self._add(tenant, hostnames, former_slugs)

    def _add(self, tenant: TenantRef, hostnames: Iterable[str], former_slugs: Mapping[str, float]) -> None:
        self._by_id[tenant.id] = self._by_slug[tenant.slug] = tenant
        self._names[tenant.id] = hostnames, _ = tuple(hostnames), tuple(former_slugs)
        for hostname in hostnames:
            self._by_hostname[hostname] = tenant.id
        for slug, until in former_slugs.items():
            self._by_former_slug[slug] = tenant.id, until

    def confirm(self, seen_at: float) -> None:
        """Note that the directory equals what the registry held at `seen_at` (seconds of the monotonic clock)."""
        self._confirmed_at = seen_at

    def demand_fresh(self) -> None:
        """Pass if the directory was confirmed lately.

        Raises:
            DirectoryStale: the last confirmation is older than `max_age_s`, or there was none yet.
        """
        if self._confirmed_at is None or time.monotonic() - self._confirmed_at > self._max_age_s:
            raise DirectoryStale


class KnownSubjects:
    """Whose status this process has read in their tenant's schema, and need not read again.

    With them go the credentials that were looked up there, such as API keys.

    A user is known by session, for each may end alone, and by what its token says it may do, for that may become less.
    `epoch` closes a race: a status that was read before a revocation, and is remembered after it, would outlive it.
    So the reader takes the epoch first, and what was read under an older epoch is not remembered.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.hits = 0
        """How many requests came from somebody who was known."""
        self.misses = 0
        """How many did not, and had to ask the database."""
        self._active: dict[tuple[UUID, UUID], set[_Known]] = {}
        self._count = 0
        self._credentials = KnownCredentials()

    def knows(self, tenant_id: UUID, principal: Principal) -> bool:
        """Tell whether a principal was seen to be active."""
        known = self._active.get((tenant_id, principal.subject))
        is_known = known is not None and (principal.session_id, principal.scopes) in known
        if is_known:
            self.hits += 1
        else:
            self.misses += 1
        return is_known

    def remember(self, tenant_id: UUID, principal: Principal, *, epoch: int) -> None:
        """Remember a principal that was seen to be active, unless something was revoked since `epoch`."""
        if epoch != self.epoch:
            return
        while self._count >= REMEMBERED_SUBJECTS:
            self._drop(next(iter(self._active)))
        known = self._active.setdefault((tenant_id, principal.subject), set())
        self._count -= len(known)
        known.add((principal.session_id, principal.scopes))
        self._count += len(known)

    def credential(self, fingerprint: bytes) -> Principal | None:
        """Return for whom a remembered credential speaks, None for one that is to be looked up."""
        return self._credentials.find(fingerprint)

    def remember_credential(self, fingerprint: bytes, principal: Principal, *, owner: UUID, epoch: int) -> None:
        """Remember a credential that was found good, unless something was revoked since `epoch`.

        It is forgotten with its own subject, and with the `owner` on whose behalf it speaks.
        """
        if epoch != self.epoch or principal.tenant_id is None:
            return
        self._credentials.remember(fingerprint, principal, (principal.subject, owner))
        self.remember(principal.tenant_id, principal, epoch=epoch)

    def forget(self, tenant_id: UUID, subject: UUID) -> None:
        """Read the status of this subject again at its next request, and look its credentials up again."""
        self.epoch += 1
        self._drop((tenant_id, subject))
        self._credentials.forget(tenant_id, subject)

    def forget_tenant(self, tenant_id: UUID) -> None:
        """Read the status of everybody in a tenant again, and look their credentials up again."""
        self.epoch += 1
        for key in [key for key in self._active if key[0] == tenant_id]:
            self._drop(key)
        self._credentials.forget_tenant(tenant_id)

    def forget_all(self) -> None:
        """Read the status of everybody again at their next request."""
        self.epoch += 1
        self._active.clear()
        self._count = 0
        self._credentials.forget_all()

    def _drop(self, key: tuple[UUID, UUID]) -> None:
        self._count -= len(self._active.pop(key, ()))
