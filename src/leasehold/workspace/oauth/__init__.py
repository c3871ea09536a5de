"""The OAuth 2.0 endpoints of a tenant: tokens (RFC 6749), revocation (RFC 7009) and introspection (RFC 7662)."""
