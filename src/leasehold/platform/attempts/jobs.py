"""What is done for attempts by the clock."""

from leasehold.core.attempts.rule import FORGOTTEN_AFTER
from leasehold.core.clock import utc_now
from leasehold.core.database import PlatformSession
from leasehold.platform.attempts.repository import AttemptsRepository
from leasehold.tenancy.jobs.definition import NoArguments, platform_job


@platform_job("attempts.forget_of_platform")
async def forget_attempts(_arguments: NoArguments, session: PlatformSession) -> None:
    """Forget the failures of all who have not failed for a day."""
    await AttemptsRepository(session=session).forget_before(utc_now() - FORGOTTEN_AFTER)
