"""How a tenant leaves its request with the platform: by functions of the shared schema, which take the tenant from the
bound role.
"""

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Uuid, bindparam, func, select

from leasehold.core.reads import Read, Reader
from leasehold.tenancy.bind import TenantSession


class _Requested(Struct):
    requested_at: datetime | None


_REQUESTED = Read(
    select(func.platform.own_deletion(bindparam("tenant_id", type_=Uuid)).label("requested_at")), _Requested
)


class DeletionReads:
    """The request of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def requested_at(self) -> datetime | None:
        """Return when the tenant asked to be deleted, None if it does not."""
        found = await self._reader.one(_REQUESTED, tenant_id=self._reader.tenant_id)
        return found.requested_at if found else None


class DeletionRepository:
    """The request of the bound tenant, for who makes it."""

    def __init__(self, session: TenantSession) -> None:
        self._session = session

    async def request(self) -> bool:
        """Ask to be deleted, and say whether that is new."""
        asked = select(func.platform.request_own_deletion(self._session.tenant.id))
        return bool(await self._session.scalar(asked))

    async def withdraw(self) -> bool:
        """Ask no more, and say whether that is new."""
        withdrawn = select(func.platform.withdraw_own_deletion(self._session.tenant.id))
        return bool(await self._session.scalar(withdrawn))

    async def requested_at(self) -> datetime | None:
        """Return when the tenant asked to be deleted, None if it does not."""
        return await self._session.scalar(select(func.platform.own_deletion(self._session.tenant.id)))
