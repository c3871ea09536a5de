"""What is written of API keys after the answer."""

from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.workspace.keys.repository import ApiKeyRepository
from leasehold.workspace.uses import LastUses, write_down


@tenant_job("keys.note_use")
async def note_use(arguments: LastUses, session: TenantSession) -> None:
    """Write down when API keys were last used."""
    await write_down(arguments, ApiKeyRepository(session=session))
