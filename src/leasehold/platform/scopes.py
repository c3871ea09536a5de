"""The scopes of the platform API."""

PLATFORM_SCOPES = frozenset({"platform:fleet:read", "platform:tenants:read", "platform:tenants:write"})
