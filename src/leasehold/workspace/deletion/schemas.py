"""What a tenant sees of its request to be deleted."""

from datetime import datetime

from msgspec import Struct


class DeletionRequest(Struct):
    """Whether the tenant wants to be deleted."""

    requested_at: datetime | None
    """Since when; null if it does not."""
