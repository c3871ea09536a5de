"""How API clients are read and written."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, update

from leasehold.core.repository import KeysetRepository
from leasehold.workspace.clients.models import ApiClient


class ApiClientRepository(KeysetRepository[ApiClient]):
    """The API clients of the bound tenant."""

    model_type = ApiClient

    async def note_use(self, client_id: UUID, used_at: datetime) -> None:
        """Write down that a client was used; neither an older time nor a client that has gone changes anything."""
        await self.session.execute(
            update(ApiClient)
            .where(ApiClient.id == client_id)
            # Being used changes nothing about a client.
            .values(last_used_at=func.greatest(ApiClient.last_used_at, used_at), updated_at=ApiClient.updated_at)
        )
