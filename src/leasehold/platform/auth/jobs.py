"""What is done for log-ins by the clock."""

from datetime import timedelta

from leasehold.core.clock import utc_now
from leasehold.core.database import PlatformSession
from leasehold.platform.auth.repository import AdminSessionRepository
from leasehold.tenancy.jobs.definition import NoArguments, platform_job

_KEPT = timedelta(days=30)


@platform_job("admins.expire_sessions")
async def expire_sessions(_arguments: NoArguments, session: PlatformSession) -> None:
    """Delete the log-ins of admins that have been over for a month."""
    await AdminSessionRepository(session=session).delete_over(utc_now() - _KEPT)
