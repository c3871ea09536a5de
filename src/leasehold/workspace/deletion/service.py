"""What a tenant does about its own end."""

from leasehold.core.actor import Actor
from leasehold.core.reads import Reader
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.deletion.repository import DeletionReads, DeletionRepository
from leasehold.workspace.deletion.schemas import DeletionRequest


async def find_request(reader: Reader) -> DeletionRequest:
    """Return whether the tenant asks to be deleted."""
    return DeletionRequest(await DeletionReads(reader).requested_at())


class DeletionService:
    """The request of the bound tenant, for one unit of work."""

    def __init__(self, session: TenantSession) -> None:
        self._session = session
        self._requests = DeletionRepository(session)

    async def request(self, *, by: Actor) -> DeletionRequest:
        """Ask the platform to delete the tenant; a request that was made before stands."""
        if await self._requests.request():
            await self._record("deletion.requested", by)
        return DeletionRequest(await self._requests.requested_at())

    async def withdraw(self, *, by: Actor) -> None:
        """Take the request back, if there is one."""
        if await self._requests.withdraw():
            await self._record("deletion.withdrawn", by)

    async def _record(self, action: str, by: Actor) -> None:
        await AuditLog(self._session, by).record(action, ("tenant", self._session.tenant.id))
