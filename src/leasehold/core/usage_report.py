"""What was used in a range of time, as admins see it of any tenant, and a tenant of itself."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from leasehold.core.clock import utc_now
from leasehold.core.errors import FieldError, Invalid

Bucket = Literal["hour", "day"]

_BUCKETS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_MOST_BUCKETS = 1000
_USUAL_RANGE = timedelta(days=30)
_SMALLEST = timedelta(microseconds=1)


class InvalidRange(Invalid):
    """The range is not acceptable."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(errors=[FieldError(pointer, detail)])


class Used(Struct, kw_only=True):
    """What was asked of the platform."""

    requests: int
    """Requests that named the tenant by a valid credential, or asked it for one."""
    refused: int
    """How many of them were answered 4xx."""
    errors: int
    """How many of them were answered 5xx."""
    database_seconds: float
    """For how long transactions on the tenant's data were open, of requests and of jobs."""
    received_bytes: int
    """Of request bodies."""
    sent_bytes: int
    """Of the bodies of answers."""


class UsedInBucket(Used, kw_only=True):
    """What was asked of the platform in one hour or day (UTC)."""

    starts_at: datetime


class Size(Struct):
    """What the tenant kept, as it was last measured on one day (UTC)."""

    starts_at: datetime
    measured_at: datetime
    rows: int
    """Estimated."""
    bytes: int
    """Of its tables with their indexes."""


class Usage(Struct):
    """What a tenant has used in a range of whole hours or days."""

    tenant_id: UUID
    starts_at: datetime
    ends_at: datetime
    total: Used
    buckets: list[UsedInBucket]
    """The hours or days in which there was anything, in their order."""
    sizes: list[Size]
    """One for each day that begins in the range and was measured, in their order."""


def usage_of(
    tenant_id: UUID, starts_at: datetime, ends_at: datetime, *, rows: Iterable[Mapping[Any, Any]], sizes: list[Size]
) -> Usage:
    """Return what a tenant has used in a range, by a row for each bucket."""
    buckets = [msgspec.convert(in_units(row), UsedInBucket) for row in rows]
    return Usage(tenant_id, starts_at, ends_at, _total(buckets), buckets, sizes)


def whole_range(since: datetime | None, before: datetime | None, bucket: Bucket) -> tuple[datetime, datetime]:
    """Return the start of the first and the end of the last bucket of a range, the last 30 days if nothing is said.

    Raises:
        InvalidRange: a time has no offset from UTC, or the range is empty or too long.
    """
    for pointer, moment in (("?from", since), ("?to", before)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidRange(pointer, "needs an offset from UTC, as in 2026-01-31T00:00:00Z")
    length = _BUCKETS[bucket]
    try:
        before = (before or utc_now()).astimezone(UTC)
        since = since.astimezone(UTC) if since else before - _USUAL_RANGE
        if since >= before:
            raise InvalidRange("?to", "is not later than `from`")
        starts_at, ends_at = start_of(since, bucket), start_of(before - _SMALLEST, bucket) + length
    except OverflowError as error:
        raise InvalidRange("?to", "is out of range") from error
    if (ends_at - starts_at) / length > _MOST_BUCKETS:
        raise InvalidRange("?from", f"is more than {_MOST_BUCKETS} {bucket}s before `to`")
    return starts_at, ends_at


def start_of(moment: datetime, bucket: Bucket) -> datetime:
    """Return when the bucket of a moment begins."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if bucket == "hour" else hour.replace(hour=0)


def in_units(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row with the units in which it is shown; sums of bigints are numerics."""
    counted = {name: int(row[name]) for name in ("requests", "refused", "errors", "received_bytes", "sent_bytes")}
    return {**row, **counted, "database_seconds": int(row["database_us"]) / 1_000_000}


def _total(buckets: list[UsedInBucket]) -> Used:
    sums = {name: sum(getattr(bucket, name) for bucket in buckets) for name in Used.__struct_fields__}
    return Used(**{**sums, "database_seconds": round(sums["database_seconds"], 6)})
