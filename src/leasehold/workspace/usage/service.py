"""What a tenant can know of how much it uses."""

from datetime import datetime

from leasehold.core.reads import Reader
from leasehold.core.usage_report import Bucket, Usage, usage_of, whole_range
from leasehold.workspace.usage.repository import UsageReads


async def own_usage(reader: Reader, *, since: datetime | None, before: datetime | None, bucket: Bucket) -> Usage:
    """Return what the tenant has used in a range of time, the last 30 days if nothing is said.

    Raises:
        InvalidRange: a time has no offset from UTC, or the range is empty or too long.
    """
    starts_at, ends_at = whole_range(since, before, bucket)
    reads = UsageReads(reader)
    rows = await reads.buckets(bucket, since=starts_at, before=ends_at)
    sizes = await reads.sizes(since=starts_at, before=ends_at)
    return usage_of(reader.tenant_id, starts_at, ends_at, rows=rows, sizes=sizes)
