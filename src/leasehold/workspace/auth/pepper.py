"""The tenant's peppers: the keys under which its clients' secrets are stored. They live in the schema, wrapped.

The newest one is used for what is stored from now on. Former ones stay, for a secret of which only a digest is kept
cannot be stored anew before its holder shows it again.
"""

import math
import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.core.reads import Reader
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.provision import Seed
from leasehold.tenancy.secrets import FoundSecret, OwnedTenant, SecretColumn, insert_sql
from leasehold.workspace.auth.repository import TENANT_SECRET_ROWS, TenantSecretRepository, WrappedSecret

_NAME = "pepper"
_REMEMBERED = 10_000
_REMEMBERED_S = 300.0


def secret_purpose(tenant_id: UUID, name: str) -> str:
    """Return for what a tenant's secret of this name is wrapped."""
    return f"tenant {tenant_id} {name}"


TENANT_SECRETS = SecretColumn(table="tenant_secrets", column="wrapped", name="name", purpose=secret_purpose)
"""Where a tenant's secrets stand, for the owner."""


def pepper_seed(key: InstallationKey) -> Seed:
    """Return the seed that gives a new tenant its pepper."""

    async def seed(connection: DriverConnection, tenant: TenantRef) -> None:
        wrapped = key.wrap(os.urandom(32), purpose=secret_purpose(tenant.id, _NAME))
        await connection.execute(
            "INSERT INTO tenant_secrets (id, name, wrapped) VALUES ($1, $2, $3)", new_id(), _NAME, wrapped
        )

    return seed


def next_pepper_sql(
    key: InstallationKey, tenant: OwnedTenant, secrets: Sequence[FoundSecret], *, unless_younger_than: timedelta
) -> list[str]:
    """Return the SQL that gives a tenant its next pepper, none where the newest one is young enough."""
    peppers = [secret for secret in secrets if _number(secret.name)]
    newest = max((_made_at(secret.id) for secret in peppers), default=None)
    if newest is not None and newest > datetime.now(UTC) - unless_younger_than:
        return []
    number = max((_number(secret.name) for secret in peppers), default=0) + 1
    name = f"{_NAME} {number}" if number > 1 else _NAME
    wrapped = key.wrap(os.urandom(32), purpose=secret_purpose(tenant.id, name))
    return [insert_sql(tenant, TENANT_SECRETS, secret_id=new_id(), name=name, wrapped=wrapped)]


async def read_pepper(session: TenantSession, key: InstallationKey, tenant: TenantRef) -> bytes:
    """Return the pepper of the bound tenant by which secrets are stored.

    Raises:
        UnwrapFailed: it was wrapped by another installation key.
    """
    return (await read_peppers(session, key, tenant))[0]


async def read_peppers(session: TenantSession, key: InstallationKey, tenant: TenantRef) -> tuple[bytes, ...]:
    """Return all peppers of the bound tenant by which secrets may have been stored, the newest first.

    Raises:
        UnwrapFailed: one was wrapped by another installation key.
    """
    rows = await TenantSecretRepository(session=session).get_many()
    return _unwrapped((WrappedSecret(row.name, row.wrapped) for row in rows), key, tenant.id)


class Peppers:
    """Reads peppers for who only reads, and so often that a query each time would be too much.

    What it remembers, for five minutes, is the wrapped form: the memory holds no secret but the installation key.
    """

    def __init__(self, key: InstallationKey) -> None:
        self._key = key
        self._wrapped: dict[UUID, tuple[list[WrappedSecret], float]] = {}

    async def of(self, reader: Reader, *, max_age_s: float = _REMEMBERED_S) -> tuple[bytes, ...]:
        """Return the peppers of the reader's tenant, the newest first, as they were at most `max_age_s` seconds ago.

        Raises:
            UnwrapFailed: one was wrapped by another installation key.
        """
        tenant_id, now = reader.tenant_id, time.monotonic()
        rows, read_at = self._wrapped.get(tenant_id, ([], -math.inf))
        if now - read_at > max_age_s:
            rows = await reader.all(TENANT_SECRET_ROWS)
            self._wrapped.pop(tenant_id, None)
            if len(self._wrapped) >= _REMEMBERED:
                self._wrapped.pop(next(iter(self._wrapped)))
            self._wrapped[tenant_id] = rows, now
        return _unwrapped(rows, self._key, tenant_id)


def _unwrapped(rows: Iterable[WrappedSecret], key: InstallationKey, tenant_id: UUID) -> tuple[bytes, ...]:
    peppers = [row for row in rows if _number(row.name)]
    newest_first = sorted(peppers, key=lambda row: _number(row.name), reverse=True)
    return tuple(key.unwrap(row.wrapped, purpose=secret_purpose(tenant_id, row.name)) for row in newest_first)


def _number(name: str) -> int:
    """Return which pepper of its tenant one is, 0 for a secret that is none."""
    first, _, number = name.partition(" ")
    if first != _NAME:
        return 0
    return int(number) if number else 1


def _made_at(secret_id: UUID) -> datetime:
    """Return when a UUIDv7 was made (RFC 9562, section 5.7)."""
    return datetime.fromtimestamp((secret_id.int >> 80) / 1000, UTC)
