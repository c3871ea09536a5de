"""What a tenant may have: how much, which features and how often, as its plan says and as was decided for it alone.

The names of limits and features are the product's own: it declares them as a `Catalogue`, and the kernel carries what
was decided about them. So a feature that has just been written is there, with its default, before any plan knows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from leasehold.core.errors import Forbidden

DEFAULT_PLAN = "default"
"""The plan that every tenant has until another is chosen. It cannot be deleted."""
_REMEMBERED = 10_000


class FeatureNotAvailable(Forbidden):
    """The plan of this tenant does not have the feature {feature}."""

    type = "feature-not-available"
    title = "Feature not available"

    def __init__(self, feature: str) -> None:
        super().__init__(feature=feature, extensions={"feature": feature})


class Rates(NamedTuple):
    """How often may be asked, as texts like those of the settings; None is what the setting says."""

    client: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Entitlements:
    """What one tenant may have. Tenants of one plan for whom nothing else was decided share one object."""

    plan: str = DEFAULT_PLAN
    limits: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    """How much of what is limited; what is not in it is not."""
    features: Mapping[str, bool] = field(default_factory=dict[str, bool], hash=False)
    """What was decided about features; what is not in it has its default."""
    rates: Rates | None = None
    """None where both are as the settings say."""


UNRESTRICTED = Entitlements()
"""The default plan, as long as nobody has changed it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Something of which a tenant may have only so much."""

    name: str
    description: str
    is_used_up: bool = True
    """Whether there is less of it the more a tenant has made; else it holds for each request alike."""


STATEMENT_MS = Limit("statement_ms", "Milliseconds that a statement may take; 0 is no limit", is_used_up=False)
"""What the kernel itself holds each request of a server to."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that a tenant may be able to do."""

    name: str
    description: str
    default: bool
    """Whether a tenant has it about whom, and about whose plan, nothing was decided."""

    def is_on(self, entitlements: Entitlements) -> bool:
        """Tell whether a tenant has it."""
        return entitlements.features.get(self.name, self.default)

    def demand(self, entitlements: Entitlements) -> None:
        """Pass if a tenant has it.

        Raises:
            FeatureNotAvailable: it has not.
        """
        if not self.is_on(entitlements):
            raise FeatureNotAvailable(self.name)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that a plan can say something about, besides how often may be asked."""

    limits: tuple[Limit, ...]
    features: tuple[Feature, ...]

    def features_of(self, entitlements: Entitlements) -> dict[str, bool]:
        """Return of every feature whether a tenant has it."""
        return {feature.name: feature.is_on(entitlements) for feature in self.features}

    def limits_of(self, entitlements: Entitlements) -> dict[str, int | None]:
        """Return every limit of a tenant; None is no limit."""
        return {limit.name: entitlements.limits.get(limit.name) for limit in self.limits}


@lru_cache(_REMEMBERED)
def entitlements_of(plan: str, limits: str, features: str, rates: str) -> Entitlements:
    """Return what a tenant may have, by its plan and three JSON objects, in which the tenant's own part is laid over
    that of its plan.

    Whoever has the same has the same object: a thousand tenants of one plan cost no more than one.
    """
    frequency = Rates(**_known(msgspec.json.decode(rates)))
    made = Entitlements(
        plan,
        msgspec.json.decode(limits),
        msgspec.json.decode(features),
        frequency if any(frequency) else None,
    )
    return UNRESTRICTED if made == UNRESTRICTED else made


def _known(rates: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a newer release may have written."""
    return {name: text for name, text in rates.items() if name in Rates._fields}
