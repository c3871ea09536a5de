"""The store in which several processes count rate limits together: gone for a while."""

import asyncio

from faults.fault import Fault
from faults.stage import Stage


async def _take_the_table_away(stage: Stage) -> None:
    await stage.execute("ALTER TABLE platform.quotas RENAME TO quotas_away")
    await asyncio.sleep(stage.lasts(short_s=2, long_s=20))
    await stage.execute("ALTER TABLE platform.quotas_away RENAME TO quotas")


FAULTS = (
    Fault(
        "quotas-in-postgresql-gone",
        "No request notices: each process counts by itself until the store is back.",
        _take_the_table_away,
        settings={"LEASEHOLD_RATE_LIMIT_STORE": "postgresql"},
        is_unnoticed=True,
    ),
)
