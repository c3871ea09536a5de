"""What admins send about the states of tenants."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from leasehold.platform.tenants.schemas import Slug


class MaintenanceBegin(Struct, forbid_unknown_fields=True):
    """How a tenant is maintained."""

    is_read_only: bool = False
    """Whether it can be read meanwhile; otherwise it answers nothing."""
    ends_at: Annotated[datetime, Meta(tz=True)] | None = None
    """How long this is planned for; clients are told when to come back. It ends no sooner than somebody says so."""


class PurgeConfirmation(Struct, forbid_unknown_fields=True):
    """Says that a tenant shall be destroyed for good."""

    slug: Slug
    """Its slug once more."""
