"""The tenant's pepper: the key under which its clients' secrets are stored. It lives in the schema, wrapped."""

import os
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.provision import Seed
from leasehold.workspace.auth.repository import TenantSecretRepository

_NAME = "pepper"


def pepper_seed(key: InstallationKey) -> Seed:
    """Return the seed that gives a new tenant its pepper."""

    async def seed(connection: DriverConnection, tenant: TenantRef, _by: Actor) -> None:
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


def _purpose(tenant_id: UUID) -> str:
    return f"tenant {tenant_id} pepper"
