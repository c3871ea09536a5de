"""What is measured of tenants by the clock, and what is forgotten."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from uuid import UUID

from leasehold.core.database import PlatformSession
from leasehold.platform.usage.repository import UsageRepository
from leasehold.tenancy.jobs.definition import NoArguments, platform_job
from leasehold.tenancy.sizes import measured_sizes

_KEPT = timedelta(days=400)
_METERS_KEPT = timedelta(days=30)
"""Longer than any process tries to write the same batch."""
_AT_ONCE = 250
"""Tenants in one transaction, so that none is long."""


@platform_job("usage.measure_sizes", timeout_s=1800.0)
async def measure_sizes(
    _arguments: NoArguments, open_session: Callable[[], AbstractAsyncContextManager[PlatformSession]]
) -> None:
    """Write down how many rows and bytes each tenant keeps."""
    after: UUID | None = None
    while True:
        async with open_session() as session:
            sizes = await measured_sizes(session, after=after, limit=_AT_ONCE)
            await UsageRepository(session).write_sizes(sizes)
        if len(sizes) < _AT_ONCE:
            return
        after = sizes[-1].tenant_id


@platform_job("usage.forget")
async def forget_usage(_arguments: NoArguments, session: PlatformSession) -> None:
    """Forget what tenants have used more than 400 days ago."""
    await UsageRepository(session).forget(usage_of=_KEPT, meters_of=_METERS_KEPT)
