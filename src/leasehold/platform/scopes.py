"""The scopes of the platform API."""

from collections.abc import Iterable

from leasehold.core.errors import UnknownScope

IMPERSONATE = "platform:tenants:impersonate"
PLATFORM_SCOPES = frozenset(
    {
        "platform:admins:read",
        "platform:admins:write",
        "platform:audit:read",
        "platform:fleet:read",
        "platform:fleet:write",
        "platform:jobs:read",
        "platform:jobs:write",
        "platform:plans:read",
        "platform:plans:write",
        "platform:tenants:clone",
        IMPERSONATE,
        "platform:tenants:purge",
        "platform:tenants:read",
        "platform:tenants:write",
    }
)


def known_scopes(scopes: Iterable[str]) -> list[str]:
    """Return scopes in order, each once.

    Raises:
        UnknownScope: one of them does not exist.
    """
    for scope in scopes:
        if scope not in PLATFORM_SCOPES:
            raise UnknownScope(scope, known=PLATFORM_SCOPES)
    return sorted(set(scopes))
