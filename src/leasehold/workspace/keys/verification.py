"""Verifies API keys. What was verified is remembered, so that a script in a loop costs the database no look-up."""

import hashlib
import hmac
import time
from collections.abc import Sequence
from uuid import UUID

from leasehold.core.credentials import MalformedSecret, parse_secret, secret_digests
from leasehold.core.errors import InvalidToken
from leasehold.core.places import Places
from leasehold.core.principal import Principal
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.bind import ReaderPool, tenant_reader
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.directory import KnownSubjects
from leasehold.workspace.auth.pepper import Peppers
from leasehold.workspace.keys.repository import ApiKeyReads, StoredKey
from leasehold.workspace.keys.service import SECRET_KIND
from leasehold.workspace.scopes import ROLE_SCOPES

_MAX_LENGTH = 100
_LOOKUPS_AT_ONCE = 4
_LOOKUPS_OF_ONE = 2
_PEPPERS_AGE_S = 1.0


class ApiKeys:
    """Tells for whom an API key speaks.

    Keys that it does not know are looked up four at a time, or whoever sends many of them would take all connections
    for reading; and those of one tenant two at a time, or a tenant that is slow would keep the keys of all others out.
    Keys that it knows, and access tokens, pass them by.
    """

    def __init__(self, readers: ReaderPool, subjects: KnownSubjects, key: InstallationKey, *, timeout_s: float) -> None:
        self._readers = readers
        self._subjects = subjects
        self._peppers = Peppers(key)
        self._lookups = Places(_LOOKUPS_AT_ONCE, share=_LOOKUPS_OF_ONE, timeout_s=timeout_s)

    def recall(self, secret: str) -> Principal | None:
        """Return for whom a key speaks that was verified lately and not revoked since, None for any other text.

        Raises:
            InvalidToken: it is longer than any key.
        """
        if len(secret) > _MAX_LENGTH:
            raise InvalidToken
        return self._subjects.credential(_fingerprint(secret))

    def tenant_id_of(self, secret: str) -> UUID:
        """Return the tenant that a key names, before anything is looked up.

        Raises:
            InvalidToken: shape or checksum are wrong.
        """
        try:
            parsed = parse_secret(secret)
        except MalformedSecret as error:
            raise InvalidToken from error
        if parsed.kind != SECRET_KIND or parsed.tenant_id is None:
            raise InvalidToken
        return parsed.tenant_id

    async def verify(self, secret: str, tenant: TenantRef) -> Principal:
        """Return for whom a key of this tenant speaks, and remember it.

        Raises:
            InvalidToken: there is no such key, it has expired or is disabled, or whoever it acts for is.
            TooManyAtOnce: other keys of the tenant are looked up, or its requests hold its share of the connections.
            DatabaseUnavailable: no connection can be had, or it was lost.
        """
        async with self._lookups.taken(tenant.id):
            return self.recall(secret) or await self._look_up(secret, tenant)

    async def _look_up(self, secret: str, tenant: TenantRef) -> Principal:
        # Taken before the reads: what is revoked between a read and `remember_credential` must not be remembered.
        epoch = self._subjects.epoch
        reader = tenant_reader(self._readers, tenant)
        peppers = await self._peppers.of(reader)
        stored = await ApiKeyReads(reader).by_digest(secret_digests(secret, peppers=peppers))
        if stored is None and (newer := await self._peppers.of(reader, max_age_s=_PEPPERS_AGE_S)) != peppers:
            peppers = newer
            stored = await ApiKeyReads(reader).by_digest(secret_digests(secret, peppers=peppers))
        digests = secret_digests(secret, peppers=peppers)
        principal = _principal(stored, digests, tenant.id) if stored else None
        owner = (stored.user_id or stored.client_id) if stored else None
        if principal is None or owner is None:
            raise InvalidToken
        self._subjects.remember_credential(_fingerprint(secret), principal, owner=owner, epoch=epoch)
        return principal


def _fingerprint(secret: str) -> bytes:
    """Return under what a key is remembered, so that the memory of the process holds no key."""
    return hashlib.sha256(secret.encode()).digest()


def _principal(stored: StoredKey, digests: Sequence[bytes], tenant_id: UUID) -> Principal | None:
    """Return for whom a secret speaks: no longer than it lasts, and with no more than its owner may."""
    expires_at = stored.expires_at
    if not any(hmac.compare_digest(stored.digest, digest) for digest in digests):
        if stored.previous_expires_at is None:
            return None
        expires_at = min(expires_at, stored.previous_expires_at)
    held = _held_by_owner(stored)
    if not stored.is_active or held is None or expires_at.timestamp() <= time.time():
        return None
    return Principal("key", stored.id, held.intersection(stored.scopes), tenant_id, int(expires_at.timestamp()))


def _held_by_owner(stored: StoredKey) -> frozenset[str] | None:
    """Return what the user or client may do at present, None for one that may do nothing any more."""
    if stored.is_user_active:
        return next((scopes for role, scopes in ROLE_SCOPES.items() if role == stored.role), None)
    return frozenset(stored.client_scopes or ()) if stored.is_client_active else None
