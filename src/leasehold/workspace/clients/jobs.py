"""What is written of API clients after the answer."""

from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.workspace.clients.repository import ApiClientRepository
from leasehold.workspace.uses import LastUses, write_down


@tenant_job("clients.note_use")
async def note_use(arguments: LastUses, session: TenantSession) -> None:
    """Write down when clients last got a token."""
    await write_down(arguments, ApiClientRepository(session=session))
