"""What admins send and receive as plans, and the terms that a plan and a tenant have in the same form."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

LONGEST_NAME = 63
_MOST_TERMS = 100

PlanName = Annotated[
    str,
    Meta(
        max_length=LONGEST_NAME,
        pattern=r"^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$(?!\n)",
        description="By which the plan is known; it never changes",
        examples=["pro"],
    ),
]
_Term = Annotated[str, Meta(max_length=100)]
Amount = Annotated[int, Meta(ge=0, le=10**15)]
RateText = Annotated[
    str, Meta(max_length=200, description="Windows, as in the settings, or `off`", examples=["100/10s,5000/1h"])
]


class TermsPatch(Struct, forbid_unknown_fields=True, kw_only=True):
    """What to change of terms (RFC 7396): what is absent stays, and of what is null nothing is said any more."""

    limits: Annotated[dict[_Term, Amount | None], Meta(max_length=_MOST_TERMS)] | UnsetType = UNSET
    """How much of what."""
    features: Annotated[dict[_Term, bool | None], Meta(max_length=_MOST_TERMS)] | UnsetType = UNSET
    """Which features, and which not."""
    rate_limits: Annotated[dict[_Term, RateText | None], Meta(max_length=_MOST_TERMS)] | UnsetType = UNSET
    """How often may be asked: of `client` and `tenant`."""


class PlanCreate(TermsPatch, forbid_unknown_fields=True, kw_only=True):
    """A new plan. What it does not limit is not limited, features have their defaults, and rates are the settings'."""

    name: PlanName


class Terms(Struct):
    """What is said, and nothing of what is not."""

    limits: dict[str, int]
    features: dict[str, bool]
    rate_limits: dict[str, str]


class Plan(Struct):
    """A plan."""

    tagged_by: ClassVar[tuple[str, ...]] = ("id", "name", "limits", "features", "rate_limits", "updated_at")

    id: UUID
    name: str
    limits: dict[str, int]
    features: dict[str, bool]
    rate_limits: dict[str, str]
    created_at: datetime
    updated_at: datetime
