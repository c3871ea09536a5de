"""What admins see of usage."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from leasehold.core.usage_report import Used

TopBy = Literal["requests", "errors", "db", "traffic", "bytes"]
"""By what tenants are compared: `db` is database time, `traffic` bytes received and sent, `bytes` bytes at rest."""


class TopTenant(Used, kw_only=True):
    """A tenant among those that use most."""

    tenant_id: UUID
    slug: str
    rows: int | None
    """Estimated; null if it was never measured."""
    bytes: int | None
    measured_at: datetime | None
