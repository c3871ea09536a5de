"""The tenant's pepper: the key under which the secrets of its clients are stored. It lives in the schema, wrapped."""

import os
import time
from uuid import UUID

from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.core.reads import Reader
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.provision import Seed
from leasehold.workspace.auth.repository import WRAPPED_SECRET, TenantSecretRepository

_NAME = "pepper"
_REMEMBERED = 10_000
_REMEMBERED_S = 300.0


def pepper_seed(key: InstallationKey) -> Seed:
    """Return the seed that gives a new tenant its pepper."""

    async def seed(connection: DriverConnection, tenant: TenantRef) -> None:
        wrapped = key.wrap(os.urandom(32), purpose=_purpose(tenant.id))
        await connection.execute(
            "INSERT INTO tenant_secrets (id, name, wrapped) VALUES ($1, $2, $3)", new_id(), _NAME, wrapped
        )

    return seed


async def read_pepper(session: TenantSession, key: InstallationKey, tenant: TenantRef) -> bytes:
    """Return the pepper of the bound tenant.

    Raises:
        UnwrapFailed: it was wrapped by another installation key.
    """
    row = await TenantSecretRepository(session=session).get_one(name=_NAME)
    return key.unwrap(row.wrapped, purpose=_purpose(tenant.id))


class Peppers:
    """Reads peppers for who only reads, and so often that a query each time would be too much.

    What it remembers, for five minutes, is the wrapped form: the memory holds no secret but the installation key.
    """

    def __init__(self, key: InstallationKey) -> None:
        self._key = key
        self._wrapped: dict[UUID, tuple[bytes, float]] = {}

    async def of(self, reader: Reader) -> bytes:
        """Return the pepper of the reader's tenant.

        Raises:
            UnwrapFailed: it was wrapped by another installation key.
            LookupError: the tenant has none.
        """
        tenant_id, now = reader.tenant_id, time.monotonic()
        wrapped, until = self._wrapped.get(tenant_id, (b"", 0.0))
        if until <= now:
            row = await reader.one(WRAPPED_SECRET, name=_NAME)
            if row is None:
                raise LookupError(f"the tenant {tenant_id} has no pepper")
            wrapped = row.wrapped
            self._wrapped.pop(tenant_id, None)
            if len(self._wrapped) >= _REMEMBERED:
                self._wrapped.pop(next(iter(self._wrapped)))
            self._wrapped[tenant_id] = wrapped, now + _REMEMBERED_S
        return self._key.unwrap(wrapped, purpose=_purpose(tenant_id))


def _purpose(tenant_id: UUID) -> str:
    return f"tenant {tenant_id} pepper"
