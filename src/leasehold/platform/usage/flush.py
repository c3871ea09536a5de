"""Hands what a process has counted over to the database."""

from leasehold.core.clock import utc_now
from leasehold.core.database import Database, platform_session
from leasehold.core.usage import UsageMeter
from leasehold.platform.usage.repository import UsageRepository


async def flush_usage(meter: UsageMeter, database: Database) -> None:
    """Write what was counted; what cannot be written, or may not have been, is tried again as it is the next time.

    Raises:
        DatabaseUnavailable, Problem: as for any unit of work.
    """
    meter.gather(utc_now())
    while (batch := meter.batch()) is not None:
        async with platform_session(database) as session:
            await UsageRepository(session).add(batch)
        meter.written(batch)
