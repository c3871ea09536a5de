"""What is done for sessions by the clock."""

from leasehold.core.clock import utc_now
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import NoArguments, tenant_job
from leasehold.workspace.sessions.repository import RefreshTokenRepository, UserSessionRepository
from leasehold.workspace.sessions.service import KEPT


@tenant_job("sessions.expire")
async def expire_sessions(_arguments: NoArguments, session: TenantSession) -> None:
    """Delete sessions that are long over, and refresh tokens that were replaced long ago."""
    before = utc_now() - KEPT
    await UserSessionRepository(session=session).delete_over(before)
    await RefreshTokenRepository(session=session).delete_replaced(before)
