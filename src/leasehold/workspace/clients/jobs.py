"""What is written of API clients after the answer."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.workspace.clients.repository import ApiClientRepository


class ClientUse(Struct, frozen=True):
    """When clients last asked for a token."""

    last_used_at: dict[UUID, datetime]


@tenant_job("clients.note_use")
async def note_use(arguments: ClientUse, session: TenantSession) -> None:
    """Write down when clients were last used; an older time changes nothing."""
    clients = ApiClientRepository(session=session)
    for client_id, used_at in arguments.last_used_at.items():
        await clients.note_use(client_id, used_at)
