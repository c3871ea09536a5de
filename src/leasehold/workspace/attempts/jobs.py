"""What is done for attempts by the clock."""

from leasehold.core.attempts.rule import FORGOTTEN_AFTER
from leasehold.core.clock import utc_now
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import NoArguments, tenant_job
from leasehold.workspace.attempts.repository import AttemptsRepository


@tenant_job("attempts.forget")
async def forget_attempts(_arguments: NoArguments, session: TenantSession) -> None:
    """Forget the failures of all who have not failed for a day."""
    await AttemptsRepository(session=session).forget_before(utc_now() - FORGOTTEN_AFTER)
