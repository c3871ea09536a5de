"""What admins send and receive as copies of tenants."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from leasehold.platform.tenants.schemas import Name, Slug

State = Literal["waiting", "done", "failed"]


class CloneCreate(Struct, forbid_unknown_fields=True):
    """A copy of a tenant."""

    slug: Slug
    is_scrubbed: bool
    """Whether all that is personal is replaced. It has to be said either way."""
    name: Name | UnsetType = UNSET
    """The slug if missing: the name of the source may be somebody's."""


class Clone(Struct):
    """A copy of a tenant, which a worker makes."""

    id: UUID
    source_id: UUID
    tenant_id: UUID
    """The id that the copy has once it is done."""
    slug: str
    name: str
    is_scrubbed: bool
    state: State
    error: str | None
    """Why it was not made; null if it was, or is waited for."""
    created_at: datetime
    ended_at: datetime | None
