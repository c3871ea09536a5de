"""Credentials that were looked up and found good, in the memory of the process."""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from leasehold.core.principal import Principal

REMEMBERED = 10_000
REMEMBERED_S = 300.0
"""Seconds after which a credential is looked up again, whatever was heard of it."""


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    until: float
    subjects: tuple[UUID, ...]


class KnownCredentials:
    """At most 10,000 credentials by their fingerprints, each for five minutes or until it expires.

    Each depends on subjects of its tenant, and is forgotten with any of them.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, _Known] = {}
        self._by_subject: defaultdict[tuple[UUID | None, UUID], set[bytes]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, fingerprint: bytes) -> Principal | None:
        """Return for whom a credential speaks, None if it is not known."""
        known = self._known.get(fingerprint)
        if known is None:
            return None
        if known.until <= time.monotonic() or known.principal.expires_at <= time.time():
            self._drop(fingerprint)
            return None
        return known.principal

    def remember(self, fingerprint: bytes, principal: Principal, subjects: Iterable[UUID]) -> None:
        """Remember for whom a credential speaks."""
        self._drop(fingerprint)
        if len(self._known) >= REMEMBERED:
            self._drop(next(iter(self._known)))
        known = _Known(principal, time.monotonic() + REMEMBERED_S, tuple(subjects))
        self._known[fingerprint] = known
        for subject in known.subjects:
            self._by_subject[principal.tenant_id, subject].add(fingerprint)

    def forget(self, tenant_id: UUID, subject: UUID) -> None:
        """Forget the credentials that depend on a subject."""
        for fingerprint in tuple(self._by_subject.get((tenant_id, subject), ())):
            self._drop(fingerprint)

    def forget_tenant(self, tenant_id: UUID) -> None:
        """Forget the credentials of a tenant."""
        for fingerprint in [one for one, known in self._known.items() if known.principal.tenant_id == tenant_id]:
            self._drop(fingerprint)

    def forget_all(self) -> None:
        """Forget all credentials."""
        self._known.clear()
        self._by_subject.clear()

    def _drop(self, fingerprint: bytes) -> None:
        known = self._known.pop(fingerprint, None)
        if known is None:
            return
        for subject in known.subjects:
            place = known.principal.tenant_id, subject
            of_subject = self._by_subject[place]
            of_subject.discard(fingerprint)
            if not of_subject:
                del self._by_subject[place]
