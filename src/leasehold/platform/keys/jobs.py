"""What is done for signing keys by the clock."""

from leasehold.core.database import PlatformSession
from leasehold.platform.keys.repository import SigningKeyRepository
from leasehold.tenancy.jobs.definition import NoArguments, platform_job


@platform_job("keys.forget_gone")
async def forget_gone(_arguments: NoArguments, session: PlatformSession) -> None:
    """Delete the signing keys whose tokens have all expired."""
    await SigningKeyRepository(session=session).forget_gone()
