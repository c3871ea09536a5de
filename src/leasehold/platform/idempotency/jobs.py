"""What is done about the idempotency keys of the platform by the clock."""

from leasehold.core.database import PlatformSession
from leasehold.platform.idempotency.repository import KeptAnswerRepository
from leasehold.tenancy.jobs.definition import NoArguments, platform_job
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.receipts import forget_receipts

AT_ONCE = 1_000
"""Rows that one transaction deletes at most."""


@platform_job("idempotency.forget_of_platform")
async def forget_answers(arguments: NoArguments, session: PlatformSession) -> None:
    """Delete answers and receipts that have expired; where there may be more, another job goes on."""
    answers = await KeptAnswerRepository(session=session).forget_expired(limit=AT_ONCE)
    receipts = await forget_receipts(session, limit=AT_ONCE)
    if AT_ONCE in {answers, receipts}:
        await enqueue(session, forget_answers, arguments)
