"""What admins see of usage."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

Bucket = Literal["hour", "day"]
TopBy = Literal["requests", "errors", "db", "traffic", "bytes"]
"""By what tenants are compared: `db` is database time, `traffic` bytes received and sent, `bytes` bytes at rest."""


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


class TopTenant(Used, kw_only=True):
    """A tenant among those that use most."""

    tenant_id: UUID
    slug: str
    rows: int | None
    """Estimated; null if it was never measured."""
    bytes: int | None
    measured_at: datetime | None
