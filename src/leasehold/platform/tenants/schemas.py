"""What admins send and receive as tenants."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, convert

from leasehold.core.text import TEXT_PATTERN
from leasehold.tenancy.names import SLUG_PATTERN

Slug = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=SLUG_PATTERN,
        description="The tenant's changeable public name: a DNS label in lower case",
        examples=["acme"],
    ),
]
SoughtPlan = Annotated[str, Meta(max_length=63)]
SoughtSlug = Annotated[str, Meta(max_length=63)]
Name = Annotated[
    str,
    Meta(
        min_length=1, max_length=200, pattern=TEXT_PATTERN, description="How people call the tenant", examples=["Acme"]
    ),
]
Hostname = Annotated[
    str, Meta(max_length=253, description="A full domain name in lower case", examples=["app.acme.example"])
]


class TenantCreate(Struct, forbid_unknown_fields=True):
    """A new tenant."""

    slug: Slug
    name: Name


class TenantPatch(Struct, forbid_unknown_fields=True):
    """What to change of a tenant; fields that are absent stay."""

    slug: Slug | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    is_canary: bool | UnsetType = UNSET
    """Whether migrations go first to this tenant."""


class DomainCreate(Struct, forbid_unknown_fields=True):
    """A custom domain for a tenant."""

    hostname: Hostname


class Domain(Struct):
    """A custom domain of a tenant."""

    id: UUID
    hostname: str
    created_at: datetime


State = Literal["active", "suspended", "maintenance", "deleted", "purging", "purged"]


class Tenant(Struct):
    """A tenant."""

    tagged_by: ClassVar[tuple[str, ...]] = (
        "id",
        "slug",
        "name",
        "state",
        "is_canary",
        "is_read_only",
        "maintenance_ends_at",
        "updated_at",
        "deleted_at",
        "purge_at",
        "plan",
        "deletion_requested_at",
    )
    noted_by: ClassVar[tuple[str, ...]] = ("revision",)

    id: UUID
    slug: str
    name: str
    state: State
    revision: str
    is_canary: bool
    is_read_only: bool
    """Whether it can be read in maintenance; false in every other state."""
    maintenance_ends_at: datetime | None
    """How long the maintenance is planned for."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    purge_at: datetime | None
    """When all that it has is destroyed, if it is not restored before."""
    plan: str
    deletion_requested_at: datetime | None
    """When the tenant itself asked to be deleted; null if it does not."""


def described(row: object) -> Tenant:
    """Return a tenant of the registry as admins see it."""
    return convert(row, Tenant, from_attributes=True)
