"""What the kernel does by the clock: it forgets what nobody needs any more."""

from datetime import timedelta

from sqlalchemy import delete, func, select

from leasehold.core.database import PlatformSession
from leasehold.tenancy.jobs.definition import NoArguments, platform_job
from leasehold.tenancy.jobs.models import QueuedJob
from leasehold.tenancy.slugs import forget_former_slugs

_DROPPED_ARE_KEPT = timedelta(days=30)


@platform_job("kernel.tidy_up")
async def tidy_up(_arguments: NoArguments, session: PlatformSession) -> None:
    """Forget changes that every process has read, slugs that were given up long ago, and jobs dropped a month ago."""
    await session.execute(select(func.platform.forget_changes()))
    await forget_former_slugs(session)
    ended_before = func.now() - _DROPPED_ARE_KEPT
    await session.execute(delete(QueuedJob).where(QueuedJob.state == "dropped", QueuedJob.ended_at < ended_before))
