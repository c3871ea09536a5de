"""The revision window: which tenants this code may serve, by where their schemas stand.

During a deploy schemas and code move one after the other. Code that does not know a schema's revision trusts what that
revision says of old code (`served_by`); code that knows it trusts what its own revisions say of old schemas
(`is_needed`). So an expansion lets old code go on, and a contraction shuts out exactly the code that would break.
"""

from collections.abc import Iterable, Sequence

from leasehold.core.errors import Unavailable
from leasehold.tenancy.context import TenantRef


class TenantNotMigrated(Unavailable):
    """The schema of this tenant is not one that this release can serve: it is being migrated."""

    type = "tenant-not-migrated"
    title = "Tenant not migrated"
    retry_after_s = 30


class RevisionWindow:
    """The revisions that this code knows, and those of them that it serves."""

    def __init__(self, *, known: Sequence[str], served: Iterable[str]) -> None:
        self.head = known[-1]
        """The newest revision that this code knows."""
        self._known = frozenset(known)
        self._served = frozenset(served)

    def demand(self, tenant: TenantRef) -> None:
        """Pass if this code may serve a tenant.

        Raises:
            TenantNotMigrated: its schema is too old for this code, or too new.
        """
        if tenant.revision in self._served:
            return
        if tenant.revision in self._known or tenant.served_by not in self._known:
            raise TenantNotMigrated
