"""What is done for tokens by the clock."""

from leasehold.core.database import PlatformSession
from leasehold.platform.tokens.repository import AdminTokenRepository
from leasehold.tenancy.jobs.definition import NoArguments, platform_job


@platform_job("admins.expire_tokens")
async def expire_tokens(_arguments: NoArguments, session: PlatformSession) -> None:
    """Delete the tokens of admins that have expired."""
    await AdminTokenRepository(session=session).delete_expired()
