"""`python -m tests.faults.usage_counter TENANT...`: counts a request of each tenant and flushes, for ever.

How many flushes have come back is told to standard output; the process is to be killed whenever.
"""

import asyncio
import sys
from itertools import count
from uuid import UUID

from leasehold.config import Settings
from leasehold.core.log import configure_logging
from leasehold.main import build_process
from leasehold.platform.usage.flush import flush_usage


async def _run(tenants: list[UUID]) -> None:
    process = build_process(Settings())  # pyright: ignore[reportCallIssue]
    for number in count(1):
        for tenant_id in tenants:
            process.usage.count_request(tenant_id, 200, 0, 0)
        await flush_usage(process.usage, process.database)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    configure_logging(level="error", form="console", stream=sys.stderr)
    asyncio.run(_run([UUID(text) for text in sys.argv[1:]]))
