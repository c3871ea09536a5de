"""The scopes of the platform API."""

PLATFORM_SCOPES = frozenset(
    {
        "platform:audit:read",
        "platform:fleet:read",
        "platform:jobs:read",
        "platform:jobs:write",
        "platform:tenants:read",
        "platform:tenants:write",
    }
)
