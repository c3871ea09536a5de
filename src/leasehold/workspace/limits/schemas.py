"""What a tenant sees of its limits."""

from msgspec import Struct


class OwnLimit(Struct):
    """How much of something the tenant may have."""

    name: str
    limit: int | None
    """Null is no limit."""
    used: int
    """Of `storage_bytes` by the size of the files of its tables."""
    remaining: int | None
    """How much more; 0 where more is used than a limit, that was lowered, allows."""


class OwnLimits(Struct):
    """What the tenant may have, and what of it is used."""

    plan: str
    limits: list[OwnLimit]
    features: dict[str, bool]
    """Every feature, and whether the tenant has it."""
