"""What is done about the idempotency keys of a tenant by the clock."""

from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import NoArguments, tenant_job
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.workspace.idempotency.repository import KeptAnswerRepository

AT_ONCE = 1_000
"""Rows that one transaction deletes at most."""


@tenant_job("idempotency.forget")
async def forget_answers(arguments: NoArguments, session: TenantSession) -> None:
    """Delete answers that have expired; where there may be more, another job goes on when other tenants had theirs."""
    if await KeptAnswerRepository(session=session).forget_expired(limit=AT_ONCE) == AT_ONCE:
        await enqueue(session, forget_answers, arguments)
