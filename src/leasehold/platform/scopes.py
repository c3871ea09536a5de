"""The scopes of the platform API."""

PLATFORM_SCOPES = frozenset({"platform:tenants:read", "platform:tenants:write"})
