"""The store in which several processes count rate limits together: gone for a while."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from faults.fault import Fault
from faults.stage import Stage
from tests.valkey import VALKEY, WHY_NOT, valkey


def _lost(stage: Stage) -> int:
    """Return how many servers have said that the store is away: each had it until then, and says so once."""
    return stage.deployment.log().count("quota_store_lost")


async def _take_the_table_away(stage: Stage) -> None:
    before = _lost(stage)
    await stage.execute("ALTER TABLE platform.quotas RENAME TO quotas_away")
    await asyncio.sleep(stage.lasts(short_s=2, long_s=20))
    stage.struck = _lost(stage) - before
    await stage.execute("ALTER TABLE platform.quotas_away RENAME TO quotas")


@asynccontextmanager
async def _with_valkey(_url: str, stage: Stage) -> AsyncGenerator[Mapping[str, str]]:
    with valkey() as running:
        stage.wire = running
        yield {"LEASEHOLD_RATE_LIMIT_STORE": "valkey", "LEASEHOLD_VALKEY_URL": running.url}


async def _stop_and_kill(stage: Stage) -> None:
    """Let it hang at first, and then be gone."""
    before = _lost(stage)
    stage.wire.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(stage.lasts(short_s=2, long_s=20))
    stage.struck = _lost(stage) - before
    stage.wire.process.kill()
    await asyncio.sleep(stage.lasts(short_s=1, long_s=10))


FAULTS = (
    Fault(
        "quotas-in-postgresql-gone",
        "No request notices: each process counts by itself until the store is back.",
        _take_the_table_away,
        shown_by="struck",
        settings={"LEASEHOLD_RATE_LIMIT_STORE": "postgresql"},
        is_unnoticed=True,
    ),
    Fault(
        "quotas-in-valkey-gone",
        "As with the store in PostgreSQL, whether it hangs or is gone.",
        _stop_and_kill,
        shown_by="struck",
        why_not=lambda: None if VALKEY else WHY_NOT,
        route=_with_valkey,
        is_unnoticed=True,
    ),
)
