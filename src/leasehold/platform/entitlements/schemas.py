"""What admins send and receive as what a tenant may have."""

from typing import ClassVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from leasehold.platform.plans.schemas import PlanName, Terms, TermsPatch


class EntitlementsPatch(TermsPatch, forbid_unknown_fields=True, kw_only=True):
    """What to change (RFC 7396): what is absent stays, and what is null is as the plan says."""

    plan: PlanName | UnsetType = UNSET


class TenantEntitlements(Struct):
    """What a tenant may have."""

    tagged_by: ClassVar[tuple[str, ...]] = ("tenant_id", "plan", "own")
    noted_by: ClassVar[tuple[str, ...]] = ("limits", "features", "rate_limits")
    """What follows from the plan and the settings, too."""

    tenant_id: UUID
    plan: str
    own: Terms
    """What was decided for this tenant alone, over its plan."""
    limits: dict[str, int | None]
    """Every limit as it holds; null is no limit."""
    features: dict[str, bool]
    """Every feature as it holds."""
    rate_limits: dict[str, str | None]
    """Null is what the settings say."""
