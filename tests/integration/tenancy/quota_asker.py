"""`python -m tests.integration.tenancy.quota_asker KEY TIMES`: asks the shared quotas, and tells how often it got some.

It waits for a line on standard input first, so that several begin together.
"""

import asyncio
import sys

from leasehold.config import Settings
from leasehold.core.quotas.limits import Limits, Policy, Window
from leasehold.core.quotas.memory import ProcessQuotas
from leasehold.core.quotas.opening import open_valkey
from leasehold.core.quotas.shared import QuotaStore, SharedQuotas
from leasehold.tenancy.quotas import PostgresQuotas

LIMITS = Limits(
    Policy("client", (Window(400, 86_400), Window(1000, 172_800))),
    Policy("tenant", (Window(600, 86_400),)),
)
"""None of them earns another request while a test lasts."""


async def _run(key: str, times: int) -> None:
    settings = Settings()  # pyright: ignore[reportCallIssue]
    store: QuotaStore
    if settings.valkey_url is None:
        store = PostgresQuotas(settings.database_url.get_secret_value(), timeout_s=60, prepared_statements=True)
    else:
        store = open_valkey(settings.valkey_url.get_secret_value(), installation=settings.issuer, timeout_s=60)
    quotas = SharedQuotas(store, ProcessQuotas())
    await quotas.take(LIMITS, ("warm", f"warm {key}"))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    got = 0
    for _ in range(times):
        # A call for every two, so that there are many at the same time.
        both = await asyncio.gather(*(quotas.take(LIMITS, (f"client {one} {key}", f"tenant {key}")) for one in "ab"))
        got += sum(granted for granted, _ in both)
    sys.stdout.write(f"{got}\n")
    await quotas.close()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], int(sys.argv[2])))
