"""The scopes of the platform API."""

from collections.abc import Iterable

from leasehold.core.errors import FieldError, Invalid

PLATFORM_SCOPES = frozenset(
    {
        "platform:admins:read",
        "platform:admins:write",
        "platform:audit:read",
        "platform:fleet:read",
        "platform:fleet:write",
        "platform:jobs:read",
        "platform:jobs:write",
        "platform:tenants:read",
        "platform:tenants:write",
    }
)


class UnknownPlatformScope(Invalid):
    """There is no platform scope {scope}; there are: {known}."""

    type = "unknown-scope"
    title = "Unknown scope"


def known_scopes(scopes: Iterable[str], *, pointer: str = "/scopes") -> list[str]:
    """Return scopes in order, each once.

    Raises:
        UnknownPlatformScope: one of them does not exist.
    """
    for scope in scopes:
        if scope not in PLATFORM_SCOPES:
            known = ", ".join(sorted(PLATFORM_SCOPES))
            raise UnknownPlatformScope(
                scope=scope, known=known, errors=[FieldError(pointer, f"has {scope}, which is no platform scope")]
            )
    return sorted(set(scopes))
